/* What the writer writes, the reader reads; what would make a bad file is refused; a file appears
 * whole or not at all. */
#include "test.h"
#include "alloc_fail.h"
#include "sample.h"
#include "gguf/gguf.h"
#include "quant/quant.h"

#include <locale.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static char dir[] = "/tmp/linn-test-gguf-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/a.gguf", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* fails if anything else is left */
}

static linn_file *open_sample(void)
{
    linn_error err = {0};
    linn_file *f = NULL;
    if (sample_write(path, &err) || linn_file_open(&f, path, &err))
        fail_msg("%s", err.message);
    return f;
}

static void check_json(const linn_file *f, const char *key, const char *expected)
{
    char text[512];
    for (size_t i = 0; i < linn_file_keys(f); i++)
        if (strcmp(linn_file_key(f, i), key) == 0) {
            assert_int_equal(linn_file_value(f, i, 4, text, sizeof text), strlen(expected));
            assert_string_equal(text, expected);
            return;
        }
    fail_msg("no key %s", key);
}

static void scalars(void **state)
{
    (void)state;
    linn_file *f = open_sample();
    linn_error err;
    uint32_t u;
    float x;
    bool yes = false, no = true;
    linn_string s;
    assert_int_equal(linn_file_version(f), 3);
    assert_string_equal(linn_file_path(f), path);
    assert_int_equal(linn_file_get_u32(f, "u32", &u, &err), LINN_OK);
    assert_int_equal(u, UINT32_MAX);
    assert_int_equal(linn_file_get_f32(f, "f32", &x, &err), LINN_OK);
    assert_true(x == 0.1f);
    assert_int_equal(linn_file_get_bool(f, "yes", &yes, &err), LINN_OK);
    assert_int_equal(linn_file_get_bool(f, "no", &no, &err), LINN_OK);
    assert_true(yes && !no);
    assert_int_equal(linn_file_get_string(f, "general.name", &s, &err), LINN_OK);
    assert_int_equal(s.length, 9);
    assert_memory_equal(s.data, "say \"\xc3\xa9\"\n", 9);
    assert_int_equal(linn_file_get_string(f, "empty", &s, &err), LINN_OK);
    assert_int_equal(s.length, 0);
    assert_true(linn_file_has(f, "empty"));
    assert_false(linn_file_has(f, "Empty"));
    linn_file_close(f);
}

static void getters_refuse(void **state)
{
    (void)state;
    linn_file *f = open_sample();
    linn_error err;
    uint32_t u = 7;
    float x = 7;
    bool b = true;
    linn_string s = {"z", 1};
    linn_gguf_array a;
    assert_int_equal(linn_file_get_u32(f, "nowhere", &u, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "a.gguf: key 'nowhere' is missing"));
    assert_int_equal(linn_file_get_u32(f, "f32", &u, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "key 'f32': is of type float32, expected a whole number"));
    assert_int_equal(linn_file_get_u32(f, "u32s", &u, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "an array of type uint32"));
    assert_int_equal(linn_file_get_f32(f, "u32", &x, &err), LINN_EFORMAT);
    assert_int_equal(linn_file_get_bool(f, "u32", &b, &err), LINN_EFORMAT);
    assert_int_equal(linn_file_get_string(f, "tokens", &s, &err), LINN_EFORMAT);
    assert_int_equal(linn_file_get_array(f, "u32", LINN_GGUF_U32, &a, &err), LINN_EFORMAT);
    assert_int_equal(linn_file_get_array(f, "u32s", LINN_GGUF_I32, &a, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "expected an array of type int32"));
    assert_int_equal(linn_file_get_array(f, "nowhere", LINN_GGUF_I32, &a, &err), LINN_EFORMAT);
    /* optional: missing keeps the value, the wrong kind is still wrong */
    assert_int_equal(linn_file_maybe_u32(f, "nowhere", &u, &err), LINN_OK);
    assert_int_equal(linn_file_maybe_f32(f, "nowhere", &x, &err), LINN_OK);
    assert_int_equal(linn_file_maybe_bool(f, "nowhere", &b, &err), LINN_OK);
    assert_int_equal(linn_file_maybe_string(f, "nowhere", &s, &err), LINN_OK);
    assert_int_equal(linn_file_maybe_u32(f, "f32", &u, &err), LINN_EFORMAT);
    assert_int_equal(linn_file_maybe_f32(f, "u32", &x, &err), LINN_EFORMAT);
    assert_int_equal(linn_file_maybe_bool(f, "u32", &b, NULL), LINN_EFORMAT);
    assert_int_equal(linn_file_maybe_string(f, "u32", &s, NULL), LINN_EFORMAT);
    assert_true(u == 7 && x == 7 && b && s.length == 1);
    linn_file_close(f);
}

static void arrays(void **state)
{
    (void)state;
    linn_file *f = open_sample();
    linn_error err;
    linn_gguf_array a;
    linn_string s;
    assert_int_equal(linn_file_get_array(f, "tokens", LINN_GGUF_STRING, &a, &err), LINN_OK);
    const linn_string expected[] = {{"a", 1}, {"", 0}, {"\xff\0z", 3}, {"\xe2\x96\x81the", 6}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(a.n, 4 - i);
        assert_true(linn_gguf_next_string(&a, &s));
        assert_int_equal(s.length, expected[i].length);
        assert_memory_equal(s.data, expected[i].data, s.length);
    }
    assert_false(linn_gguf_next_string(&a, &s));
    assert_int_equal(linn_file_get_array(f, "no strings", LINN_GGUF_STRING, &a, &err), LINN_OK);
    assert_false(linn_gguf_next_string(&a, &s));
    assert_int_equal(linn_file_get_array(f, "i32s", LINN_GGUF_I32, &a, &err), LINN_OK);
    assert_int_equal(a.n, 2);
    assert_memory_equal(a.data, ((const int32_t[]){INT32_MIN, INT32_MAX}), 8);
    linn_file_close(f);
}

static void json(void **state)
{
    (void)state;
    linn_file *f = open_sample();
    check_json(f, "general.name", "\"say \\\"\xc3\xa9\\\"\\n\"");
    check_json(f, "empty", "\"\"");
    check_json(f, "u32", "4294967295");
    check_json(f, "f32", "0.1");
    check_json(f, "yes", "true");
    check_json(f, "no", "false");
    check_json(f, "tokens", "[\"a\", \"\", \"\\ufffd\\u0000z\", \"\xe2\x96\x81the\"]");
    check_json(f, "no strings", "[]");
    check_json(f, "u8s", "[0, 255]");
    check_json(f, "i8s", "[-128, 127]");
    check_json(f, "u16s", "[0, 65535]");
    check_json(f, "i16s", "[-32768, 32767]");
    check_json(f, "u32s", "[1, 2, 3, 4, \"... 1 more\"]");
    check_json(f, "i32s", "[-2147483648, 2147483647]");
    check_json(f, "u64s", "[0, 18446744073709551615]");
    check_json(f, "i64s", "[-9223372036854775808, 9223372036854775807]");
    check_json(f, "f32s", "[-0, 1.4013e-45, 3.5]");
    check_json(f, "f64s", "[0.1, 1e+300]");
    check_json(f, "bools", "[true, false, true]");
    /* as snprintf: what fits, always terminated */
    char small[8];
    assert_int_equal(linn_file_value(f, 0, 0, small, sizeof small), 7);
    assert_string_equal(small, "\"llama\"");
    assert_int_equal(linn_file_value(f, 0, 0, small, 4), 7);
    assert_string_equal(small, "\"ll");
    assert_int_equal(linn_file_value(f, 0, 0, NULL, 0), 7);
    assert_int_equal(linn_file_value(f, 1000, 0, small, sizeof small), 0);
    assert_string_equal(small, "");
    assert_string_equal(linn_file_key(f, 1000), "");
    linn_file_close(f);
}

static void json_of_odd_numbers(void **state)
{
    (void)state;
    linn_error err;
    linn_gguf_writer *w;
    linn_file *f = NULL;
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e-7f};
    assert_int_equal(linn_gguf_writer_create(&w, path, &err), LINN_OK);
    linn_gguf_put_array(w, "odd", LINN_GGUF_F32, odd, 4);
    linn_gguf_put_f32(w, "nan", NAN);
    linn_gguf_put_array(w, "none of 5", LINN_GGUF_U8, "hello", 5);
    assert_int_equal(linn_gguf_begin_data(w), LINN_OK);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_OK);
    linn_gguf_writer_free(w);
    assert_int_equal(linn_file_open(&f, path, &err), LINN_OK);
    check_json(f, "odd", "[\"NaN\", \"Infinity\", \"-Infinity\", 1e-07]");
    char text[32];
    linn_file_value(f, 2, 0, text, sizeof text);
    assert_string_equal(text, "[\"... 5 more\"]");
    float x;
    assert_int_equal(linn_file_get_f32(f, "nan", &x, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "finite"));
    linn_file_close(f);
}

/* Integers of any width convert when the value fits; floats of both widths when finite. */
static void conversions(void **state)
{
    (void)state;
    static const struct {
        linn_gguf_kind kind;
        uint64_t bits;
        int64_t expected; /* -1: refused */
    } integers[] = {
        {LINN_GGUF_U8, 200, 200},
        {LINN_GGUF_U16, 60000, 60000},
        {LINN_GGUF_U32, UINT32_MAX, UINT32_MAX},
        {LINN_GGUF_U64, UINT32_MAX, UINT32_MAX},
        {LINN_GGUF_U64, 1ull << 32, -1},
        {LINN_GGUF_I8, 127, 127},
        {LINN_GGUF_I8, 0xff, -1},
        {LINN_GGUF_I16, 32767, 32767},
        {LINN_GGUF_I16, 0x8000, -1},
        {LINN_GGUF_I32, INT32_MAX, INT32_MAX},
        {LINN_GGUF_I32, 0xffffffff, -1},
        {LINN_GGUF_I64, UINT32_MAX, UINT32_MAX},
        {LINN_GGUF_I64, 1ull << 32, -1},
        {LINN_GGUF_I64, UINT64_MAX, -1},
        {LINN_GGUF_BOOL, 1, -1},
        {LINN_GGUF_F32, 0, -1},
    };
    static image m;
    linn_error err;
    linn_file *f = NULL;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        uint32_t out = 7;
        put_header(&m, 0, 1);
        put_name(&m, "k");
        put_u32(&m, integers[i].kind);
        put_u64(&m, integers[i].bits);
        assert_int_equal(linn_file_parse(&f, m.data, m.size, "image", &err), LINN_OK);
        int rc = linn_file_get_u32(f, "k", &out, &err);
        assert_int_equal(rc, integers[i].expected < 0 ? LINN_EFORMAT : LINN_OK);
        assert_int_equal(out, integers[i].expected < 0 ? 7 : integers[i].expected);
        if (rc)
            assert_non_null(strstr(err.message, "image: key 'k': is "));
        linn_file_close(f);
    }
    static const double reals[] = {0.5, -1e30, 1e39, INFINITY, NAN};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        float out = 7;
        put_header(&m, 0, 1);
        put_name(&m, "k");
        put_u32(&m, LINN_GGUF_F64);
        put_bytes(&m, &reals[i], sizeof *reals);
        assert_int_equal(linn_file_parse(&f, m.data, m.size, "image", &err), LINN_OK);
        assert_int_equal(linn_file_get_f32(f, "k", &out, &err), i < 2 ? LINN_OK : LINN_EFORMAT);
        assert_true(out == (i < 2 ? (float)reals[i] : 7.0f));
        linn_file_close(f);
    }
}

/* Where the program's locale has a decimal comma, JSON has a point all the same. */
static void json_in_any_locale(void **state)
{
    (void)state;
    linn_file *f = open_sample();
    static const char *const names[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "pl_PL.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_NUMERIC, names[i])) /* not all are installed everywhere */
            check_json(f, "f64s", "[0.1, 1e+300]");
    setlocale(LC_NUMERIC, "C");
    linn_file_close(f);
}

static void tensors(void **state)
{
    (void)state;
    linn_file *f = open_sample();
    assert_int_equal(linn_file_tensors(f), 3);
    const linn_tensor *a = linn_file_find_tensor(f, "a.weight");
    const linn_tensor *b = linn_file_find_tensor(f, "b.weight");
    const linn_tensor *c = linn_file_find_tensor(f, "c");
    assert_ptr_equal(linn_file_tensor_at(f, 0), a);
    assert_null(linn_file_tensor_at(f, 3));
    assert_null(linn_file_find_tensor(f, "a.weigh"));
    assert_null(linn_file_find_tensor(f, ""));
    assert_int_equal(a->size, 24);
    assert_memory_equal(a->data, ((const float[]){1, 2, 3, 4, 5, 6}), 24);
    assert_int_equal(b->size, 34);
    assert_int_equal(((const uint8_t *)b->data)[33], 34);
    assert_int_equal(c->size, 8);
    assert_int_equal(((const uint8_t *)c->data)[0], 35);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal((uintptr_t)linn_file_tensor_at(f, i)->data % 32, 0);
        assert_int_equal(linn_file_tensor_at(f, i)->offset % 32, 0);
    }
    linn_tensor_info info;
    assert_int_equal(linn_file_tensor(f, 1, &info), LINN_OK);
    assert_string_equal(info.name, "b.weight");
    assert_string_equal(info.type, "Q8_0");
    assert_int_equal(info.n_dims, 1);
    assert_int_equal(info.shape[0], 32);
    assert_int_equal(info.shape[3], 1);
    assert_int_equal(info.size, 34);
    assert_int_equal(linn_file_tensor(f, 3, &info), LINN_EINVAL);
    linn_file_close(f);
}

/* Copying every key gives the same values in the same order. */
static void copies(void **state)
{
    (void)state;
    char copy[80], one[512], other[512];
    snprintf(copy, sizeof copy, "%s/copy.gguf", dir);
    linn_error err;
    linn_gguf_writer *w;
    linn_file *f = open_sample(), *g;
    assert_int_equal(linn_gguf_writer_create(&w, copy, &err), LINN_OK);
    for (size_t i = 0; i < linn_file_keys(f); i++)
        assert_int_equal(linn_gguf_put_copy(w, f, i), LINN_OK);
    linn_gguf_begin_data(w);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_OK);
    linn_gguf_writer_free(w);
    assert_int_equal(linn_file_open(&g, copy, &err), LINN_OK);
    assert_int_equal(linn_file_keys(f), linn_file_keys(g));
    for (size_t i = 0; i < linn_file_keys(f); i++) {
        assert_string_equal(linn_file_key(f, i), linn_file_key(g, i));
        linn_file_value(f, i, 100, one, sizeof one);
        linn_file_value(g, i, 100, other, sizeof other);
        assert_string_equal(one, other);
    }
    linn_file_close(g);
    linn_file_close(f);
    unlink(copy);
}

/* The alignment of another file is not copied, since the copy has the writer's. */
static void alignment_is_the_writers(void **state)
{
    (void)state;
    static image m;
    put_header(&m, 0, 2);
    put_key_u32(&m, "general.alignment", 64);
    put_key_u32(&m, "x", 1);
    linn_error err;
    linn_file *f = NULL;
    linn_gguf_writer *w;
    assert_int_equal(linn_file_parse(&f, m.data, m.size, "image", &err), LINN_OK);
    assert_int_equal(linn_gguf_writer_create(&w, path, &err), LINN_OK);
    assert_int_equal(linn_gguf_put_copy(w, f, 0), LINN_OK);
    assert_int_equal(linn_gguf_put_copy(w, f, 1), LINN_OK);
    linn_gguf_begin_data(w);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_OK);
    linn_gguf_writer_free(w);
    linn_file_close(f);
    assert_int_equal(linn_file_open(&f, path, &err), LINN_OK);
    assert_int_equal(linn_file_keys(f), 1);
    assert_string_equal(linn_file_key(f, 0), "x");
    linn_file_close(f);
}

static void copies_only_what_is_there(void **state)
{
    (void)state;
    linn_error err;
    linn_gguf_writer *w;
    linn_file *f = open_sample();
    assert_int_equal(linn_gguf_writer_create(&w, path, &err), LINN_OK);
    assert_int_equal(linn_gguf_put_copy(w, f, linn_file_keys(f)), LINN_EINVAL);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_EINVAL);
    assert_non_null(strstr(err.message, "has no key 20"));
    linn_gguf_writer_free(w);
    linn_file_close(f);
}

/* ---- misuse ------------------------------------------------------------------------------ */

typedef int (*wrong_call)(linn_gguf_writer *w);

static const uint64_t two[4] = {2, 2, 2, 2}, zero[1] = {0}, huge[2] = {1ull << 62, 4};

static int key_twice(linn_gguf_writer *w)
{
    linn_gguf_put_u32(w, "a", 1);
    return linn_gguf_put_bool(w, "a", true);
}

static int empty_key(linn_gguf_writer *w)
{
    return linn_gguf_put_u32(w, "", 1);
}

static int key_not_utf8(linn_gguf_writer *w)
{
    return linn_gguf_put_u32(w, "\xff", 1);
}

static int key_of_two_lines(linn_gguf_writer *w)
{
    return linn_gguf_put_u32(w, "a\nb", 1);
}

static int key_alignment(linn_gguf_writer *w)
{
    return linn_gguf_put_u32(w, "general.alignment", 64);
}

static int key_after_tensor(linn_gguf_writer *w)
{
    linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, two);
    return linn_gguf_put_u32(w, "a", 1);
}

static int array_of_strings(linn_gguf_writer *w)
{
    return linn_gguf_put_array(w, "a", LINN_GGUF_STRING, "x", 1);
}

static int array_of_odd_bools(linn_gguf_writer *w)
{
    return linn_gguf_put_array(w, "a", LINN_GGUF_BOOL, "\1\2", 2);
}

static int tensor_twice(linn_gguf_writer *w)
{
    linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, two);
    return linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, two);
}

static int tensor_type(linn_gguf_writer *w)
{
    return linn_gguf_put_tensor(w, "t", 16, 1, two);
}

static int tensor_rows(linn_gguf_writer *w)
{
    return linn_gguf_put_tensor(w, "t", LINN_TYPE_Q8_0, 1, two);
}

static int tensor_no_dims(linn_gguf_writer *w)
{
    return linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 0, two);
}

static int tensor_5_dims(linn_gguf_writer *w)
{
    return linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 5, two);
}

static int tensor_zero(linn_gguf_writer *w)
{
    return linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, zero);
}

static int tensor_huge(linn_gguf_writer *w)
{
    return linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 2, huge);
}

static int data_too_early(linn_gguf_writer *w)
{
    return linn_gguf_write_data(w, "x", 1);
}

static int data_too_much(linn_gguf_writer *w)
{
    linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, two);
    linn_gguf_begin_data(w);
    return linn_gguf_write_data(w, "123456789", 9);
}

static int tensor_after_data(linn_gguf_writer *w)
{
    linn_gguf_begin_data(w);
    return linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, two);
}

static int begin_twice(linn_gguf_writer *w)
{
    linn_gguf_begin_data(w);
    return linn_gguf_begin_data(w);
}

static int data_too_little(linn_gguf_writer *w)
{
    linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, two);
    linn_gguf_begin_data(w);
    linn_gguf_write_data(w, "1234567", 7);
    return LINN_EINVAL; /* found by finish */
}

static int no_data(linn_gguf_writer *w)
{
    (void)w;
    return LINN_EINVAL; /* found by finish */
}

static void misuse(void **state)
{
    (void)state;
    static const wrong_call calls[] = {
        key_twice,        empty_key,          key_not_utf8, key_of_two_lines, key_alignment,
        key_after_tensor, array_of_strings,   tensor_twice, tensor_type,      tensor_rows,
        tensor_no_dims,   array_of_odd_bools, tensor_zero,  tensor_huge,      data_too_early,
        data_too_much,    tensor_after_data,  begin_twice,  no_data,          tensor_5_dims,
        data_too_little};
    unlink(path);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        linn_error err = {0};
        linn_gguf_writer *w;
        assert_int_equal(linn_gguf_writer_create(&w, path, &err), LINN_OK);
        assert_int_equal(calls[i](w), LINN_EINVAL);
        linn_gguf_writer_finish(w, &err);
        assert_int_equal(err.code, LINN_EINVAL);
        assert_memory_equal(err.message, path, strlen(path));            /* names the file first */
        assert_int_equal(linn_gguf_put_u32(w, "later", 1), LINN_EINVAL); /* it sticks */
        linn_gguf_writer_free(w);
        assert_int_equal(access(path, F_OK), -1);
    }
}

static void not_finished(void **state)
{
    (void)state;
    linn_error err;
    linn_gguf_writer *w;
    unlink(path);
    assert_int_equal(linn_gguf_writer_create(&w, path, &err), LINN_OK);
    linn_gguf_put_u32(w, "a", 1);
    linn_gguf_begin_data(w);
    linn_gguf_writer_free(w);
    assert_int_equal(access(path, F_OK), -1);
    linn_gguf_writer_free(NULL);
    assert_int_equal(linn_gguf_writer_create(&w, "/nonexistent/a.gguf", &err), LINN_EIO);
    assert_null(w);
}

/* A limit on the size of files stands in for a full disk. */
static void no_room(void **state)
{
    (void)state;
    linn_error err = {0};
    linn_gguf_writer *w;
    static const float values[16384];
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 20000;
    signal(SIGXFSZ, SIG_IGN);
    unlink(path);
    assert_int_equal(linn_gguf_writer_create(&w, path, &err), LINN_OK);
    linn_gguf_put_tensor(w, "t", LINN_TYPE_F32, 1, (const uint64_t[]){16384});
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    linn_gguf_begin_data(w);
    int rc = linn_gguf_write_data(w, values, sizeof values);
    int finished = linn_gguf_writer_finish(w, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    linn_gguf_writer_free(w);
    assert_int_equal(rc, LINN_EIO);
    assert_int_equal(finished, LINN_EIO);
    assert_non_null(strstr(err.message, "a.gguf: cannot write: File too large"));
    assert_int_equal(access(path, F_OK), -1);
}

static void finishes_once(void **state)
{
    (void)state;
    linn_error err;
    linn_gguf_writer *w;
    assert_int_equal(linn_gguf_writer_create(&w, path, &err), LINN_OK);
    linn_gguf_begin_data(w);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_OK);
    assert_int_equal(linn_gguf_writer_finish(w, &err), LINN_EINVAL);
    linn_gguf_writer_free(w);
    linn_file *f = NULL;
    assert_int_equal(linn_file_open(&f, path, &err), LINN_OK);
    linn_file_close(f);
}

/* ---- out of memory ------------------------------------------------------------------------- */

static int write_attempt(void *arg)
{
    return sample_write(arg, NULL);
}

static int read_attempt(void *arg)
{
    linn_file *f = NULL;
    int rc = linn_file_open(&f, arg, NULL);
    linn_file_close(f);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(write_attempt, path) > 10);
    assert_true(alloc_fail_each(read_attempt, path) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(getters_refuse),
        cmocka_unit_test(arrays),
        cmocka_unit_test(json),
        cmocka_unit_test(json_of_odd_numbers),
        cmocka_unit_test(json_in_any_locale),
        cmocka_unit_test(conversions),
        cmocka_unit_test(tensors),
        cmocka_unit_test(copies),
        cmocka_unit_test(alignment_is_the_writers),
        cmocka_unit_test(copies_only_what_is_there),
        cmocka_unit_test(misuse),
        cmocka_unit_test(not_finished),
        cmocka_unit_test(no_room),
        cmocka_unit_test(finishes_once),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
