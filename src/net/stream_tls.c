/*
 * Design notes
 * - OpenSSL reads and writes through the layer below (net/tls_bio.h), or straight on the socket where the
 * kernel may take the encryption over, for only then does the library hand it the keys.
 * - A read goes on until the layer below has nothing: then no decrypted bytes stay here that no event would
 * tell of. That holds as long as the reader has room for one record.
 * - What is written is put together to one record: the library must see the same bytes again after it was
 * told to wait, and what waits in the owner's output only grows at its end.
 * - The library has no call that drops the peer's certificate, and keeps it for the life of a connection:
 * with those of its signers, their decoded keys and texts, that is two fifths of what an idle connection
 * takes. So when its owner has read it, it is emptied: signers go, and its key, names and extensions are
 * replaced by next to nothing. It is this connection's own object, and nothing reads it behind the handshake:
 * sessions are neither cached nor negotiated again.
 * - The library keeps errors in a queue of the thread: it is emptied before each call, as calls of different
 * connections alternate.
 */
#include "net/stream_tls.h"

#include "base/alloc.h"
#include "net/tls_bio.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

struct layer {
    struct rc_tls_end end; /* what is below */
    SSL *ssl;
    struct rc_tls *tls; /* until the handshake is over */
    int failed;         /* what every later call returns */
    bool is_open;       /* the handshake is over */
    bool reads_on_out;  /* the last read could not go on before something is written */
    bool has_forgotten; /* who the peer is */
};

/* ---- results ---- */

/* What the library's result means to the owner of the stream. */
static int meaning(struct layer *layer, int result)
{
    switch (SSL_get_error(layer->ssl, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
        return RC_ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        layer->reads_on_out = true;
        return RC_ERR_AGAIN;
    case SSL_ERROR_SYSCALL:
        layer->failed = RC_ERR_CLOSED;
        break;
    default:
        layer->failed = RC_ERR_PROTOCOL;
        break;
    }
    return layer->failed;
}

/* ---- the layer ---- */

/* Before each call of the library behind the handshake that may read or write. */
static bool may_go_on(struct layer *layer, struct rc_stream *stream)
{
    if (layer->failed != 0 || !layer->is_open)
        return false;
    if (!rc_tls_bio_enter(layer->ssl, &layer->end, stream))
        layer->failed = RC_ERR_FULL;
    return layer->failed == 0;
}

static int wait_for(struct rc_stream *stream, struct layer *layer, uint32_t events)
{
    return layer->end.below.ops->want(stream, layer->end.below.state, events);
}

static ssize_t tls_read(struct rc_stream *stream, void *state, void *to, size_t len)
{
    struct layer *layer = state;
    size_t done = 0;
    int why = RC_ERR_AGAIN;
    if (!may_go_on(layer, stream))
        return layer->failed != 0 ? layer->failed : RC_ERR_INVALID;
    layer->reads_on_out = false;
    do {
        size_t got = 0;
        ERR_clear_error();
        int result = SSL_read_ex(layer->ssl, (uint8_t *)to + done, len - done, &got);
        if (result != 1) {
            why = meaning(layer, result);
            break;
        }
        done += got;
    } while (len - done >= RC_TLS_RECORD_BYTES);
    if (layer->reads_on_out && stream->loop != NULL && stream->watch.events != 0)
        wait_for(stream, layer, stream->watch.events | EPOLLOUT);
    return done > 0 ? (ssize_t)done : why;
}

/* Copies what stands in `iov` from byte `at` on, as much as one record holds. */
static size_t gather(uint8_t *out, size_t room, const struct iovec *iov, int count, size_t at)
{
    size_t len = 0;
    for (int i = 0; i < count && len < room; i++) {
        size_t skipped = at < iov[i].iov_len ? at : iov[i].iov_len, left = iov[i].iov_len - skipped;
        size_t part = left < room - len ? left : room - len;
        if (part > 0)
            memcpy(out + len, (const uint8_t *)iov[i].iov_base + skipped, part);
        len += part;
        at -= skipped;
    }
    return len;
}

static ssize_t tls_writev(struct rc_stream *stream, void *state, const struct iovec *iov, int count)
{
    struct layer *layer = state;
    uint8_t record[RC_TLS_RECORD_BYTES];
    size_t done = 0, len;
    ssize_t why = RC_OK;
    if (!may_go_on(layer, stream))
        return layer->failed != 0 ? layer->failed : RC_ERR_INVALID;
    bool reads_on_out = layer->reads_on_out;
    while (why == RC_OK && (len = gather(record, sizeof(record), iov, count, done)) > 0) {
        size_t written = 0;
        ERR_clear_error();
        int result = SSL_write_ex(layer->ssl, record, len, &written);
        if (result != 1)
            why = meaning(layer, result);
        if (result != 1 && why == RC_OK)
            why = RC_ERR_CLOSED;
        done += written;
    }
    layer->reads_on_out = reads_on_out; /* the owner of what was not written waits for EPOLLOUT by itself */
    return done > 0 ? (ssize_t)done : why;
}

static size_t tls_pending(const struct rc_stream *stream, void *state)
{
    const struct layer *layer = state;
    if (layer->failed != 0 || !layer->is_open)
        return 0;
    size_t pending = (size_t)SSL_pending(layer->ssl);
    return pending > 0 ? pending : (size_t)SSL_has_pending(layer->ssl);
}

static bool tls_reads_on_out(void *state)
{
    return ((const struct layer *)state)->reads_on_out;
}

static int tls_shutdown(struct rc_stream *stream, void *state)
{
    struct layer *layer = state;
    if (may_go_on(layer, stream)) {
        ERR_clear_error();
        SSL_shutdown(layer->ssl); /* as far as it goes */
    }
    return layer->end.below.ops->shutdown(stream, layer->end.below.state);
}

static int tls_want(struct rc_stream *stream, void *state, uint32_t events)
{
    struct layer *layer = state;
    return wait_for(stream, layer, events != 0 && layer->reads_on_out ? events | EPOLLOUT : events);
}

static void tls_close(struct rc_stream *stream, void *state)
{
    struct layer *layer = state;
    ERR_clear_error();
    if (may_go_on(layer, stream))
        SSL_shutdown(layer->ssl);
    SSL_free(layer->ssl);
    ERR_clear_error();
    rc_tls_unref(layer->tls);
    struct rc_stream_layer below = layer->end.below;
    free(layer);
    below.ops->close(stream, below.state);
}

static const struct rc_stream_layer *tls_below(const void *state)
{
    return &((const struct layer *)state)->end.below;
}

static const struct rc_stream_ops tls_ops = {
    .name = "tls",
    .read = tls_read,
    .writev = tls_writev,
    .pending = tls_pending,
    .reads_on_out = tls_reads_on_out,
    .shutdown = tls_shutdown,
    .want = tls_want,
    .close = tls_close,
    .below = tls_below,
};

static struct layer *push(struct rc_stream *stream, struct rc_tls *tls)
{
    struct layer *layer = rc_new(struct layer);
    layer->ssl = rc_tls_connection(tls);
    bool is_ready = false;
    if (layer->ssl != NULL && rc_tls_uses_kernel(tls) && rc_stream_is_socket(stream))
        is_ready = SSL_set_fd(layer->ssl, stream->watch.fd) == 1;
    else if (layer->ssl != NULL)
        is_ready = rc_tls_bio_open(layer->ssl, &layer->end);
    if (!is_ready) {
        SSL_free(layer->ssl);
        free(layer);
        ERR_clear_error();
        return NULL;
    }
    layer->tls = rc_tls_ref(tls);
    rc_stream_push(stream, &tls_ops, layer, &layer->end.below);
    return layer;
}

int rc_stream_push_tls(struct rc_stream *stream, struct rc_tls *tls)
{
    struct layer *layer = push(stream, tls);
    if (layer == NULL)
        return RC_ERR_FULL;
    SSL_set_accept_state(layer->ssl);
    return RC_OK;
}

/* Whom the certificate must be for; a name is also told to the server, which may have several. */
static bool expect(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int rc_stream_push_tls_client(struct rc_stream *stream, struct rc_tls *tls, const char *host)
{
    struct layer *layer = push(stream, tls);
    if (layer == NULL)
        return RC_ERR_FULL;
    SSL_set_connect_state(layer->ssl);
    ERR_clear_error();
    if (expect(layer->ssl, host))
        return RC_OK;
    layer->failed = RC_ERR_INVALID;
    return RC_ERR_INVALID;
}

/* ---- handshake ---- */

static int handshake_failed(struct layer *layer, int err, struct rc_error *error)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verified = SSL_get_verify_result(layer->ssl);
    if (verified != X509_V_OK)
        rc_error_set(error, err, "the %s's certificate: %s", SSL_is_server(layer->ssl) ? "client" : "server",
                     X509_verify_cert_error_string(verified));
    else
        rc_error_set(error, err, "%s", reason != NULL ? reason : "the peer has gone");
    ERR_clear_error();
    return err;
}

int rc_stream_tls_handshake(struct rc_stream *stream, uint32_t *ret_events, struct rc_error *error)
{
    struct layer *layer = stream->state;
    if (layer->failed != 0)
        return layer->failed;
    rc_tls_bio_enter(layer->ssl, &layer->end, stream);
    layer->reads_on_out = false;
    ERR_clear_error();
    int result = SSL_do_handshake(layer->ssl);
    if (result == 1) {
        layer->is_open = true;
        rc_tls_bio_share(&layer->end);
        rc_tls_unref(layer->tls);
        layer->tls = NULL;
        return RC_OK;
    }
    int why = meaning(layer, result);
    *ret_events = layer->reads_on_out ? EPOLLOUT : EPOLLIN;
    layer->reads_on_out = false; /* the caller waits by *ret_events */
    if (why == RC_ERR_AGAIN)
        return why;
    layer->failed = why == 0 ? RC_ERR_CLOSED : why;
    return handshake_failed(layer, layer->failed, error);
}

/* ---- who the peer is ---- */

static SSL *find_ssl(const struct rc_stream *stream)
{
    const struct layer *layer = rc_stream_find(stream, &tls_ops);
    return layer != NULL && layer->is_open ? layer->ssl : NULL;
}

/* The same, while it is known who the peer is. */
static SSL *find_peers_ssl(const struct rc_stream *stream)
{
    const struct layer *layer = rc_stream_find(stream, &tls_ops);
    return layer != NULL && !layer->has_forgotten ? find_ssl(stream) : NULL;
}

const struct x509_st *rc_stream_tls_certificate(const struct rc_stream *stream)
{
    SSL *ssl = find_peers_ssl(stream);
    return ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;
}

const struct stack_st_X509 *rc_stream_tls_chain(const struct rc_stream *stream)
{
    SSL *ssl = find_peers_ssl(stream);
    return ssl != NULL ? SSL_get_peer_cert_chain(ssl) : NULL;
}

bool rc_stream_tls_is_unchecked(const struct rc_stream *stream)
{
    SSL *ssl = find_peers_ssl(stream);
    return ssl != NULL && SSL_get0_peer_certificate(ssl) != NULL &&
           SSL_get_verify_result(ssl) == X509_V_ERR_APPLICATION_VERIFICATION;
}

static void copy_serial(const X509 *certificate, char *out, size_t size)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number != NULL ? BN_bn2hex(number) : NULL;
    snprintf(out, size, "%s", hex != NULL && strlen(hex) < size ? hex : "");
    OPENSSL_free(hex);
    BN_free(number);
}

static void copy_subject(X509_NAME *name, char *out, size_t size)
{
    BIO *text = BIO_new(BIO_s_mem());
    out[0] = '\0';
    if (text == NULL)
        return;
    X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253);
    int len = BIO_read(text, out, (int)size - 1);
    out[len > 0 ? len : 0] = '\0';
    BIO_free(text);
}

/* As UTF-8; one with a NUL inside, or too long, is none at all rather than another's. */
static void copy_common_name(X509_NAME *name, char *out, size_t size)
{
    unsigned char *text = NULL;
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    X509_NAME_ENTRY *entry = at >= 0 ? X509_NAME_get_entry(name, at) : NULL;
    int len = entry != NULL ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry)) : -1;
    bool is_sound = len >= 0 && (size_t)len < size && memchr(text, 0, (size_t)len) == NULL;
    snprintf(out, size, "%.*s", is_sound ? len : 0, text != NULL ? (const char *)text : "");
    OPENSSL_free(text);
}

bool rc_stream_tls_peer(const struct rc_stream *stream, struct rc_tls_peer *ret)
{
    const X509 *certificate = rc_stream_tls_certificate(stream);
    if (certificate == NULL)
        return false;
    X509_NAME *name = X509_get_subject_name(certificate);
    copy_serial(certificate, ret->serial, sizeof(ret->serial));
    copy_subject(name, ret->subject, sizeof(ret->subject));
    copy_common_name(name, ret->common_name, sizeof(ret->common_name));
    ERR_clear_error();
    return true;
}

/* ---- forgetting it ---- */

static EVP_PKEY *no_key;
static X509_NAME *no_name;

static void make_nothing(void)
{
    static const unsigned char zeros[32];
    no_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, zeros, sizeof(zeros));
    no_name = X509_NAME_new();
}

static void drop_all(STACK_OF(X509) * chain)
{
    while (chain != NULL && sk_X509_num(chain) > 0)
        X509_free(sk_X509_pop(chain));
}

static void empty_certificate(X509 *certificate)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_nothing);
    if (no_key != NULL)
        X509_set_pubkey(certificate, no_key);
    if (no_name != NULL) {
        X509_set_subject_name(certificate, no_name);
        X509_set_issuer_name(certificate, no_name);
    }
    while (X509_get_ext_count(certificate) > 0)
        X509_EXTENSION_free(X509_delete_ext(certificate, 0));
}

void rc_stream_tls_forget_peer(struct rc_stream *stream)
{
    struct layer *layer = rc_stream_find(stream, &tls_ops);
    if (layer == NULL || !layer->is_open || layer->has_forgotten)
        return;
    X509 *certificate = SSL_get0_peer_certificate(layer->ssl);
    layer->has_forgotten = true;
    drop_all(SSL_get_peer_cert_chain(layer->ssl));
    drop_all(SSL_get0_verified_chain(layer->ssl));
    if (certificate != NULL)
        empty_certificate(certificate);
    ERR_clear_error();
}

const char *rc_stream_tls_version(const struct rc_stream *stream)
{
    const SSL *ssl = find_ssl(stream);
    return ssl != NULL ? SSL_get_version(ssl) : NULL;
}

const char *rc_stream_tls_cipher(const struct rc_stream *stream)
{
    const SSL *ssl = find_ssl(stream);
    return ssl != NULL ? SSL_get_cipher_name(ssl) : NULL;
}
