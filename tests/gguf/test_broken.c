/* Files that break the format in every way we could think of: each is refused by one line that
 * says where, and none makes the reader read past the end (the images lie in blocks of exactly
 * their size, so that the address sanitizer sees it). */
#include "test.h"
#include "sample.h"
#include "gguf/gguf.h"
#include "quant/quant.h"

#include <sys/stat.h>

static image m;
static const uint64_t shape[4] = {32, 2, 1, 1};

/* Parses a copy in a block of its own; looks at all there is when it opens. */
static int parse(const uint8_t *data, size_t size, linn_error *err)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    linn_file *f = NULL;
    *err = (linn_error){0};
    int rc = linn_file_parse(&f, copy, size, "image", err);
    assert_int_equal(rc, err->code);
    if (rc) {
        assert_null(f);
        assert_memory_equal(err->message, "image: ", 7);
        assert_null(strchr(err->message, '\n'));
    } else {
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < linn_file_keys(f); i++)
            sum = (uint8_t)(sum + linn_file_value(f, i, SIZE_MAX, NULL, 0));
        for (size_t i = 0; i < linn_file_tensors(f); i++) {
            const linn_tensor *t = linn_file_tensor_at(f, i);
            assert_ptr_equal(linn_file_find_tensor(f, t->name_z), t);
            for (size_t j = 0; j < t->size; j++)
                sum = (uint8_t)(sum + ((const uint8_t *)t->data)[j]);
        }
        linn_file_close(f);
    }
    free(copy);
    return rc;
}

static void refused(int code, const char *message)
{
    linn_error err;
    assert_int_equal(parse(m.data, m.size, &err), code);
    if (!strstr(err.message, message))
        fail_msg("said '%s', expected '%s'", err.message, message);
}

static void opens(void)
{
    linn_error err;
    if (parse(m.data, m.size, &err) != LINN_OK)
        fail_msg("%s", err.message);
}

/* ---- header ------------------------------------------------------------------------------- */

static void header(void **state)
{
    (void)state;
    m.size = 0;
    refused(LINN_EFORMAT, "is empty, expected a GGUF file");
    put_bytes(&m, "GG", 2);
    refused(LINN_EFORMAT, "byte 0: the word GGUF needs 4 bytes, but the file has only 2 more");
    m.size = 0;
    put_bytes(&m, "GGML\3\0\0\0", 8);
    refused(LINN_EFORMAT, "byte 0: not a GGUF file");
    for (uint32_t version = 0; version < 5; version++) {
        put_header(&m, 0, 0);
        memcpy(m.data + 4, &version, 4);
        if (version == 2 || version == 3)
            opens();
        else
            refused(LINN_EUNSUPPORTED, "byte 4: GGUF version");
    }
    memcpy(m.data + 4, (const uint8_t[]){0, 0, 0, 3}, 4);
    refused(LINN_EUNSUPPORTED, "byte 4: a big-endian GGUF file");
}

static void huge_counts(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 1000, 1ull << 31, 1ull << 32, 1ull << 60, UINT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        put_header(&m, counts[i], 0);
        refused(LINN_EFORMAT, "byte 8: the file claims");
        put_header(&m, 0, counts[i]);
        refused(LINN_EFORMAT, "byte 16: the file claims");
    }
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void key_names(void **state)
{
    (void)state;
    put_header(&m, 0, 1);
    put_u64(&m, 1ull << 40);
    put_bytes(&m, "abcdefghijkl", 12);
    refused(LINN_EFORMAT, "byte 32: key 0: the name needs 1099511627776 bytes, but the file has "
                          "only 12 more");
    put_header(&m, 0, 1);
    put_u64(&m, UINT64_MAX);
    put_bytes(&m, "abcdefghijkl", 12);
    refused(LINN_EFORMAT, "byte 32: key 0: the name needs");
    put_header(&m, 0, 1);
    put_key_u32(&m, "", 1);
    refused(LINN_EFORMAT, "byte 24: key 0: the name has 0 bytes");
    put_header(&m, 0, 1);
    put_u64(&m, 65536);
    memset(m.data + m.size, 'x', 60000);
    m.size = 65536; /* too short as well */
    refused(LINN_EFORMAT, "key 0: the name needs 65536 bytes");
    put_header(&m, 0, 2);
    put_key_u32(&m, "fine", 1);
    put_key_u32(&m, "b\xff", 1);
    refused(LINN_EFORMAT, "key 1: the name is not UTF-8");
    put_header(&m, 0, 1);
    put_u64(&m, 3);
    put_bytes(&m, "a\0b", 3);
    put_u32(&m, LINN_GGUF_U8);
    put_u8(&m, 0);
    refused(LINN_EFORMAT, "key 0: the name is not UTF-8 text without control characters");
    put_header(&m, 0, 3);
    put_key_u32(&m, "one", 1);
    put_key_u32(&m, "two", 1);
    put_key_u32(&m, "one", 1);
    refused(LINN_EFORMAT, "key 'one' occurs twice");
}

/* A name may have 65,535 bytes. */
static void long_name(void **state)
{
    (void)state;
    enum { LONGEST = 65535 };
    static uint8_t data[24 + 8 + LONGEST + 1 + 5];
    for (uint64_t n = LONGEST; n <= LONGEST + 1; n++) {
        put_header(&m, 0, 1);
        memcpy(data, m.data, 24);
        memcpy(data + 24, &n, 8);
        memset(data + 32, 'x', n);
        memcpy(data + 32 + n, "\0\0\0\0\1", 5); /* a u8 */
        linn_error err;
        int rc = parse(data, 32 + n + 5, &err);
        assert_int_equal(rc, n == LONGEST ? LINN_OK : LINN_EFORMAT);
    }
}

static void one_key(const char *name, uint32_t kind)
{
    put_header(&m, 0, 1);
    put_name(&m, name);
    put_u32(&m, kind);
}

static void values(void **state)
{
    (void)state;
    for (uint32_t kind = LINN_GGUF_F64 + 1; kind < 20; kind++) {
        one_key("k", kind);
        put_u64(&m, 0);
        refused(LINN_EFORMAT, "key 'k': the value's type is");
    }
    one_key("k", UINT32_MAX);
    put_u64(&m, 0);
    refused(LINN_EFORMAT, "byte 33: key 'k': the value's type is 4294967295, expected 0 to 12");
    one_key("k", LINN_GGUF_U64);
    put_u32(&m, 0);
    refused(LINN_EFORMAT, "key 'k': the file claims 1 values, more than its 41 bytes can hold");
    one_key("k", LINN_GGUF_BOOL);
    put_u8(&m, 2);
    refused(LINN_EFORMAT, "byte 37: key 'k': a bool is 2, expected 0 or 1");
    one_key("k", LINN_GGUF_STRING);
    put_u64(&m, 1ull << 63);
    put_bytes(&m, "text", 4);
    refused(LINN_EFORMAT, "key 'k': a string needs 9223372036854775808 bytes");
    /* control characters in a name never reach a terminal */
    static const char *const names[] = {"\n", "a\x1b[31m", "\x7f", "\xc2\x9b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        one_key(names[i], LINN_GGUF_U64);
        put_u64(&m, 0);
        refused(LINN_EFORMAT, "key 0: the name is not UTF-8 text without control characters");
    }
}

static void arrays(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {3, 1ull << 32, 1ull << 61, 1ull << 62, UINT64_MAX};
    for (uint32_t kind = 0; kind <= LINN_GGUF_F64; kind++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths && kind != LINN_GGUF_ARRAY; i++) {
            one_key("k", LINN_GGUF_ARRAY);
            put_u32(&m, kind);
            put_u64(&m, lengths[i]);
            put_bytes(&m, "\0\0", 2);
            refused(LINN_EFORMAT, "key 'k': the file claims");
        }
    one_key("k", LINN_GGUF_ARRAY);
    put_u32(&m, LINN_GGUF_ARRAY);
    put_u64(&m, 1);
    put_u32(&m, LINN_GGUF_U8);
    put_u64(&m, 1);
    put_u8(&m, 1);
    refused(LINN_EUNSUPPORTED, "byte 37: key 'k': the value is an array of arrays");
    one_key("k", LINN_GGUF_ARRAY);
    put_u32(&m, 13);
    put_u64(&m, 0);
    refused(LINN_EFORMAT, "the type of the array's elements is 13");
    one_key("k", LINN_GGUF_ARRAY);
    put_u32(&m, LINN_GGUF_STRING);
    put_u64(&m, 2);
    put_name(&m, "one");
    put_u64(&m, 4);
    put_bytes(&m, "two", 3);
    refused(LINN_EFORMAT, "key 'k': a string needs 4 bytes, but the file has only 3 more");
    one_key("k", LINN_GGUF_ARRAY);
    put_u32(&m, LINN_GGUF_BOOL);
    put_u64(&m, 3);
    put_bytes(&m, "\1\0\7", 3);
    refused(LINN_EFORMAT, "byte 51: key 'k': a bool is 7");
}

/* ---- tensors ----------------------------------------------------------------------------------
 */

/* One F32 tensor "t" of 256 bytes, as described, with all its data. */
static void one_tensor(uint32_t type, uint32_t n_dims, uint64_t d0, uint64_t d1, uint64_t offset)
{
    put_header(&m, 1, 0);
    put_name(&m, "t");
    put_u32(&m, n_dims);
    put_u64(&m, d0);
    put_u64(&m, d1);
    put_u32(&m, type);
    put_u64(&m, offset);
    put_data(&m, 32, 256);
}

static void shapes(void **state)
{
    (void)state;
    one_tensor(LINN_TYPE_F32, 2, 32, 2, 0);
    opens();
    one_tensor(LINN_TYPE_F32, 0, 32, 2, 0);
    refused(LINN_EFORMAT, "byte 33: tensor 't': there are 0 dimensions, expected 1 to 4");
    one_tensor(LINN_TYPE_F32, 5, 32, 2, 0);
    refused(LINN_EFORMAT, "there are 5 dimensions");
    one_tensor(LINN_TYPE_F32, UINT32_MAX, 32, 2, 0);
    refused(LINN_EFORMAT, "there are 4294967295 dimensions");
    one_tensor(LINN_TYPE_F32, 2, 0, 2, 0);
    refused(LINN_EFORMAT, "byte 37: tensor 't': dimension 0 is 0");
    one_tensor(LINN_TYPE_F32, 2, 32, 0, 0);
    refused(LINN_EFORMAT, "tensor 't': dimension 1 is 0");
    one_tensor(LINN_TYPE_F32, 2, 1ull << 32, 1ull << 32, 0);
    refused(LINN_EFORMAT, "more than 2^64 elements");
    one_tensor(LINN_TYPE_F32, 2, 1ull << 32, 1ull << 31, 0);
    refused(LINN_EFORMAT, "more than 2^64 bytes");
    one_tensor(LINN_TYPE_F32, 2, 1ull << 31, 1ull << 30, 0);
    refused(LINN_EFORMAT, "tensor 't': offset 0 and 9223372036854775808 bytes of data from byte 96 "
                          "on end beyond the file");
    one_tensor(LINN_TYPE_Q8_0, 2, 16, 4, 0);
    refused(LINN_EFORMAT, "rows have 16 elements, expected a multiple of 32 for type Q8_0");
    one_tensor(LINN_TYPE_Q4_K, 2, 32, 8, 0);
    refused(LINN_EFORMAT, "expected a multiple of 256 for type Q4_K");
}

static void types(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {4, 5, 36, 37, 38, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        one_tensor(numbers[i], 2, 32, 2, 0);
        refused(LINN_EUNSUPPORTED, "byte 53: tensor 't': the type is");
    }
    /* what GGUF names but linn has no code for can be looked at */
    one_tensor(16, 2, 256, 2, 0);
    linn_error err;
    linn_file *f = NULL;
    linn_tensor_info info;
    assert_int_equal(linn_file_parse(&f, m.data, m.size, "image", &err), LINN_OK);
    assert_int_equal(linn_file_tensor(f, 0, &info), LINN_OK);
    assert_string_equal(info.type, "IQ2_XXS");
    assert_int_equal(info.size, 0);
    assert_int_equal(info.shape[1], 2);
    assert_null(linn_file_tensor_at(f, 0)->data);
    linn_file_close(f);
    one_tensor(16, 2, 256, 2, 512);
    refused(LINN_EFORMAT, "beyond the file");
}

static void places(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {1, 16, 31, 33, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        one_tensor(LINN_TYPE_F32, 2, 32, 2, wrong[i]);
        refused(LINN_EFORMAT, "is not a multiple of the alignment 32");
    }
    static const uint64_t outside[] = {32, 256, 1ull << 40, UINT64_MAX - 31, UINT64_MAX - 95};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        one_tensor(LINN_TYPE_F32, 2, 32, 2, outside[i]);
        refused(LINN_EFORMAT, "end beyond the file, which has 352 bytes");
    }
    one_tensor(LINN_TYPE_F32, 2, 32, 2, 0);
    m.size--;
    refused(LINN_EFORMAT, "(is it complete?)");
}

static void tables(void **state)
{
    (void)state;
    put_header(&m, 2, 0);
    put_tensor(&m, "one", LINN_TYPE_F32, 2, shape, 0);
    put_tensor(&m, "two", LINN_TYPE_F32, 2, shape, 224);
    put_data(&m, 32, 512);
    refused(LINN_EFORMAT, "tensors 'one' and 'two' overlap at byte");
    put_header(&m, 2, 0); /* of unknown sizes, but not of none */
    put_tensor(&m, "one", 16, 2, (const uint64_t[]){256, 1}, 256);
    put_tensor(&m, "two", 17, 2, (const uint64_t[]){256, 1}, 256);
    put_data(&m, 32, 512);
    refused(LINN_EFORMAT, "overlap");
    put_header(&m, 2, 0);
    put_tensor(&m, "one", LINN_TYPE_F32, 2, shape, 256);
    put_tensor(&m, "two", 16, 2, (const uint64_t[]){256, 1}, 256);
    put_data(&m, 32, 512);
    refused(LINN_EFORMAT, "overlap");
    put_header(&m, 2, 0);
    put_tensor(&m, "one", LINN_TYPE_F32, 2, shape, 256);
    put_tensor(&m, "one", LINN_TYPE_F32, 2, shape, 0);
    put_data(&m, 32, 512);
    refused(LINN_EFORMAT, "tensor 'one' occurs twice");
    /* any order and gaps are fine */
    put_header(&m, 2, 0);
    put_tensor(&m, "one", LINN_TYPE_F32, 2, shape, 512);
    put_tensor(&m, "two", LINN_TYPE_F32, 2, shape, 64);
    put_data(&m, 32, 768);
    opens();
    /* empty name, names that are no text */
    put_header(&m, 1, 0);
    put_tensor(&m, "", LINN_TYPE_F32, 2, shape, 0);
    put_data(&m, 32, 512);
    refused(LINN_EFORMAT, "tensor 0: the name has 0 bytes");
    put_header(&m, 1, 0);
    put_tensor(&m, "\xc3", LINN_TYPE_F32, 2, shape, 0);
    put_data(&m, 32, 512);
    refused(LINN_EFORMAT, "tensor 0: the name is not UTF-8");
}

static void alignments(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {0, 1, 2, 4, 7, 24, 33, UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_header(&m, 1, 1);
        put_key_u32(&m, "general.alignment", wrong[i]);
        put_tensor(&m, "t", LINN_TYPE_F32, 2, shape, 0);
        put_data(&m, 32, 512);
        refused(LINN_EFORMAT, "expected a power of two from 8 on");
    }
    for (uint32_t alignment = 8; alignment <= 4096; alignment *= 2) {
        put_header(&m, 1, 1);
        put_key_u32(&m, "general.alignment", alignment);
        put_tensor(&m, "t", LINN_TYPE_F32, 2, shape, alignment);
        put_data(&m, alignment, alignment + 256);
        opens();
        m.size -= 1;
        refused(LINN_EFORMAT, "beyond the file");
    }
    put_header(&m, 1, 1);
    put_key_u32(&m, "general.alignment", 1u << 31);
    put_tensor(&m, "t", LINN_TYPE_F32, 2, shape, 0);
    put_data(&m, 32, 512);
    refused(LINN_EFORMAT, "beyond the file");
    put_header(&m, 0, 1);
    put_name(&m, "general.alignment");
    put_u32(&m, LINN_GGUF_STRING);
    put_name(&m, "32");
    refused(LINN_EFORMAT, "key 'general.alignment': is of type string");
}

/* ---- damage -------------------------------------------------------------------------------------
 */

static uint8_t *sample; /* made by the writer */
static size_t sample_size, sample_header;

static int make_sample(void **state)
{
    (void)state;
    char path[] = "/tmp/linn-test-broken-XXXXXX";
    int fd = mkstemp(path);
    linn_error err = {0};
    linn_file *f = NULL;
    if (fd < 0 || sample_write(path, &err) || linn_file_open(&f, path, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    sample_header = linn_file_tensor_at(f, 0)->offset;
    linn_file_close(f);
    FILE *in = fopen(path, "rb");
    sample = malloc(1 << 16);
    if (in && sample)
        sample_size = fread(sample, 1, 1 << 16, in);
    if (in)
        fclose(in);
    close(fd);
    unlink(path);
    return sample_size > sample_header ? 0 : -1;
}

static int free_sample(void **state)
{
    (void)state;
    free(sample);
    return 0;
}

static void truncated(void **state)
{
    (void)state;
    linn_error err;
    size_t end_of_data = sample_size - 24; /* the last tensor has 8 bytes, padded to 32 */
    for (size_t n = 0; n < end_of_data; n++)
        assert_int_equal(parse(sample, n, &err), LINN_EFORMAT);
    for (size_t n = end_of_data; n <= sample_size; n++)
        assert_int_equal(parse(sample, n, &err), LINN_OK);
}

static void flipped(void **state)
{
    (void)state;
    linn_error err;
    size_t n_refused = 0;
    for (size_t bit = 0; bit < 8 * sample_header; bit++) {
        sample[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int rc = parse(sample, sample_size, &err);
        assert_true(rc == LINN_OK || rc == LINN_EFORMAT || rc == LINN_EUNSUPPORTED);
        n_refused += rc != LINN_OK;
        sample[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(n_refused > 8 * sample_header / 3);
}

/* Every 4 and 8 bytes of the header replaced by extreme numbers. */
static void extremes(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0,          1,          INT32_MAX,     1ull << 31,
                                       UINT32_MAX, 1ull << 32, 1ull << 63,    (1ull << 63) - 1,
                                       UINT64_MAX, 1ull << 61, UINT64_MAX - 8};
    linn_error err;
    for (size_t at = 4; at + 8 <= sample_header; at++)
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            for (size_t size = 4; size <= 8; size += 4) {
                uint8_t before[8];
                memcpy(before, sample + at, size);
                memcpy(sample + at, &numbers[i], size);
                int rc = parse(sample, sample_size, &err);
                assert_true(rc == LINN_OK || rc == LINN_EFORMAT || rc == LINN_EUNSUPPORTED);
                memcpy(sample + at, before, size);
            }
}

/* ---- files that are none
 * ------------------------------------------------------------------------- */

static void not_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/linn-test-broken-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x", dir);
    linn_error err;
    linn_file *f = NULL;
    assert_int_equal(linn_file_open(&f, path, &err), LINN_EIO);
    assert_null(f);
    assert_non_null(strstr(err.message, "/x: cannot open: No such file"));
    assert_int_equal(linn_file_open(&f, dir, &err), LINN_EIO);
    assert_non_null(strstr(err.message, "is a directory"));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(linn_file_open(&f, path, &err), LINN_EIO);
    assert_non_null(strstr(err.message, "not a regular file"));
    unlink(path);
    FILE *empty = fopen(path, "wb");
    assert_non_null(empty);
    fclose(empty);
    assert_int_equal(linn_file_open(&f, path, &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "/x: is empty"));
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(linn_file_open(&f, path, &err), LINN_EIO);
        assert_non_null(strstr(err.message, "Permission denied"));
    }
    unlink(path);
    rmdir(dir);
    assert_int_equal(linn_file_open(&f, "", NULL), LINN_EIO);
    linn_file_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header),    cmocka_unit_test(huge_counts), cmocka_unit_test(key_names),
        cmocka_unit_test(long_name), cmocka_unit_test(values),      cmocka_unit_test(arrays),
        cmocka_unit_test(shapes),    cmocka_unit_test(types),       cmocka_unit_test(places),
        cmocka_unit_test(tables),    cmocka_unit_test(alignments),  cmocka_unit_test(truncated),
        cmocka_unit_test(flipped),   cmocka_unit_test(extremes),    cmocka_unit_test(not_files),
    };
    return cmocka_run_group_tests(tests, make_sample, free_sample);
}
