/* fuzz_quantize.c - any bytes as a file to quantise, into a type that its size picks: what comes
 * out is a file that opens, with the same keys and tensors, or nothing at all. */
#include "gguf/gguf.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static linn_engine *engine;
static char out_path[64];

static void must(int good)
{
    if (!good)
        abort();
}

static void set_up(void)
{
    char folder[] = "/dev/shm/linn-fuzz-XXXXXX", other[] = "/tmp/linn-fuzz-XXXXXX";
    linn_engine_settings s = {.threads = 1, .cpu = LINN_CPU_C};
    const char *at = access("/dev/shm", W_OK) == 0 ? mkdtemp(folder) : mkdtemp(other);
    must(at && linn_engine_create(&engine, &s, NULL) == LINN_OK);
    snprintf(out_path, sizeof out_path, "%s/out", at);
}

/* The libraries' own clean-up would come too late for the leak checker. */
__attribute__((destructor)) static void tear_down(void)
{
    linn_engine_free(engine);
    engine = NULL;
    char *slash = strrchr(out_path, '/');
    if (slash) {
        *slash = 0;
        rmdir(out_path);
    }
}

static const char *type_of(size_t size)
{
    size_t n = 0;
    while (linn_quantize_type(n))
        n++;
    return linn_quantize_type(size % n);
}

static void compare(const char *in, const char *out)
{
    linn_file *a, *b;
    must(linn_file_open(&a, in, NULL) == LINN_OK && linn_file_open(&b, out, NULL) == LINN_OK);
    must(linn_file_tensors(a) == linn_file_tensors(b));
    for (size_t i = 0; i < linn_file_tensors(a); i++)
        must(linn_file_find_tensor(b, linn_file_tensor_at(a, i)->name_z) ==
             linn_file_tensor_at(b, i));
    for (size_t i = 0; i < linn_file_keys(a); i++)
        must(strcmp(linn_file_key(a, i), "general.alignment") == 0 ||
             linn_file_has(b, linn_file_key(a, i)));
    linn_file_close(a);
    linn_file_close(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!engine)
        set_up();
    char in_path[32];
    int fd = memfd_create("image", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(in_path, sizeof in_path, "/proc/self/fd/%d", fd);
    linn_quantize_settings s = {
        .type = type_of(size), .pure = size & 1, .requantize = (size & 2) != 0};
    linn_error err = {0};
    int rc = linn_quantize_file(engine, in_path, out_path, &s, &err);
    must(rc == err.code);
    if (rc == LINN_OK)
        compare(in_path, out_path);
    else
        must(err.message[0] != 0 && access(out_path, F_OK) != 0);
    unlink(out_path);
    close(fd);
    return 0;
}
