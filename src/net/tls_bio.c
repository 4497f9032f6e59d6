/*
 * Design notes
 * - A BIO takes 200 bytes with its lock, for each of many thousands of idle connections, and is of use only
 * while a call of the library runs. So the connections of a thread share one. They keep it referenced: it
 * outlives its thread until the last of them has another, or is freed.
 * - During the handshake each has its own: there the library puts a buffer in front of the BIO, and links the
 * two.
 */
#include "net/tls_bio.h"

#include "base/error.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <pthread.h>

static int bio_read(BIO *bio, char *to, int len)
{
    struct rc_tls_end *end = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = end->below.ops->read(end->stream, end->below.state, to, (size_t)len);
    if (got == RC_ERR_AGAIN)
        BIO_set_retry_read(bio);
    if (got == 0)
        end->is_ended = true;
    return got < 0 ? -1 : (int)got;
}

static int bio_write(BIO *bio, const char *from, int len)
{
    struct rc_tls_end *end = BIO_get_data(bio);
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)from, .iov_len = (size_t)len};
    BIO_clear_retry_flags(bio);
    ssize_t sent = end->below.ops->writev(end->stream, end->below.state, &iov, 1);
    if (sent == RC_ERR_AGAIN)
        BIO_set_retry_write(bio);
    return sent < 0 ? -1 : (int)sent;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    const struct rc_tls_end *end = BIO_get_data(bio);
    if (command == BIO_CTRL_EOF)
        return end->is_ended;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* ---- making them ---- */

static BIO_METHOD *method;
static pthread_key_t threads_bio; /* each thread's shared one */
static bool has_key;

static void free_threads_bio(void *bio)
{
    BIO_free(bio);
}

static void set_up(void)
{
    has_key = pthread_key_create(&threads_bio, free_threads_bio) == 0;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rc_stream");
    if (method == NULL)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
}

static BIO *make_bio(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    return method != NULL ? BIO_new(method) : NULL;
}

/* This thread's; NULL without memory. */
static BIO *shared_bio(void)
{
    if (!has_key)
        return NULL;
    BIO *bio = pthread_getspecific(threads_bio);
    if (bio != NULL)
        return bio;
    bio = make_bio();
    if (bio != NULL && pthread_setspecific(threads_bio, bio) != 0) {
        BIO_free(bio);
        bio = NULL;
    }
    return bio;
}

/* ---- using them ---- */

bool rc_tls_bio_open(SSL *ssl, struct rc_tls_end *end)
{
    BIO *bio = make_bio();
    if (bio == NULL)
        return false;
    BIO_set_data(bio, end);
    SSL_set_bio(ssl, bio, bio);
    end->is_own = true;
    return true;
}

bool rc_tls_bio_enter(SSL *ssl, struct rc_tls_end *end, struct rc_stream *stream)
{
    end->stream = stream;
    if (!end->is_shared)
        return true;
    BIO *bio = shared_bio();
    if (bio == NULL)
        return false;
    BIO_set_data(bio, end);
    if (SSL_get_rbio(ssl) != bio) { /* its own, or that of the thread it has come from */
        BIO_up_ref(bio);
        SSL_set_bio(ssl, bio, bio);
    }
    return true;
}

void rc_tls_bio_share(struct rc_tls_end *end)
{
    end->is_shared = end->is_own;
}
