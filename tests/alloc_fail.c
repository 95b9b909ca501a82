/* alloc_fail.c - see alloc_fail.h.
 *
 * The linker's --wrap sends malloc() to __wrap_malloc() and leaves the allocator itself (or the
 * sanitizer's) as __real_malloc(). Live blocks are kept in a set, since free() is also asked to
 * free what libc allocated by itself.
 */
#include "test.h"
#include "alloc_fail.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);

enum { SLOTS = 1 << 17 }; /* of the set; a power of two, far more than any test keeps alive */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t count;
static size_t fail_at; /* value of `count` that fails; 0: none */
static int hit;
static const void *live[SLOTS]; /* open addressing; NULL: never used */
static const char gone;         /* its address marks a slot whose block was freed */
static size_t n_live;

static size_t slot_of(const void *p)
{
    return ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15u >> 40 & (SLOTS - 1);
}

static void add(const void *p)
{
    for (size_t i = slot_of(p), n = 0; n < SLOTS; i = (i + 1) & (SLOTS - 1), n++)
        if (!live[i] || live[i] == &gone) {
            live[i] = p;
            n_live++;
            return;
        }
    abort(); /* make SLOTS larger */
}

static void drop(const void *p)
{
    for (size_t i = slot_of(p), n = 0; n < SLOTS && live[i]; i = (i + 1) & (SLOTS - 1), n++)
        if (live[i] == p) {
            live[i] = &gone;
            n_live--;
            return;
        }
}

/* Counts an allocation; true when it must fail. */
static int must_fail(void)
{
    pthread_mutex_lock(&lock);
    int fail = ++count == fail_at;
    hit |= fail;
    pthread_mutex_unlock(&lock);
    if (fail)
        errno = ENOMEM;
    return fail;
}

static void *record(void *p)
{
    if (p) {
        pthread_mutex_lock(&lock);
        add(p);
        pthread_mutex_unlock(&lock);
    }
    return p;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : record(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : record(__real_calloc(n, size));
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return must_fail() ? NULL : record(__real_aligned_alloc(align, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    if (must_fail())
        return NULL;
    /* One step for other threads: the old address may be theirs at once. */
    pthread_mutex_lock(&lock);
    void *q = __real_realloc(p, size);
    if (q || size == 0) {
        drop(p);
        if (q)
            add(q);
    }
    pthread_mutex_unlock(&lock);
    return q;
}

void __wrap_free(void *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&lock);
    drop(p);
    pthread_mutex_unlock(&lock);
    __real_free(p);
}

char *__wrap_strndup(const char *s, size_t n)
{
    size_t length = strnlen(s, n);
    char *copy = __wrap_malloc(length + 1);
    if (copy) {
        memcpy(copy, s, length);
        copy[length] = 0;
    }
    return copy;
}

char *__wrap_strdup(const char *s)
{
    return __wrap_strndup(s, strlen(s));
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return must_fail() ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

/* What mmap() is called when off_t is asked to have 64 bits. */
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return __wrap_mmap(at, size, protection, flags, fd, offset);
}

size_t alloc_fail_count(void)
{
    pthread_mutex_lock(&lock);
    size_t n = count;
    pthread_mutex_unlock(&lock);
    return n;
}

void alloc_fail_at(size_t n)
{
    pthread_mutex_lock(&lock);
    fail_at = n ? count + n : 0;
    hit = 0;
    pthread_mutex_unlock(&lock);
}

int alloc_fail_hit(void)
{
    pthread_mutex_lock(&lock);
    int h = hit;
    pthread_mutex_unlock(&lock);
    return h;
}

size_t alloc_fail_each(int (*attempt)(void *arg), void *arg)
{
    for (size_t n = 1;; n++) {
        size_t before = n_live;
        alloc_fail_at(n);
        int rc = attempt(arg);
        int failed = alloc_fail_hit();
        alloc_fail_at(0);
        if (n_live != before)
            fail_msg("allocation %zu failing leaks %zu blocks", n, n_live - before);
        if (rc != (failed ? LINN_ENOMEM : LINN_OK))
            fail_msg("allocation %zu %s, and the result is %d", n,
                     failed ? "fails" : "is never made", rc);
        if (!failed)
            return n - 1;
    }
}
