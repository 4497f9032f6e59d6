/*
 * Design notes
 * - One SSL_CTX a certificate. The first one begins every handshake; the name that the client asks for moves
 * the connection to the context whose certificate fits, by the certificate's own names.
 * - An idle connection must be small: buffers are given back when empty, and no sessions are cached here (a
 * client that wants to resume gets a ticket, which it keeps itself).
 */
#include "net/tls_context.h"

#include "base/alloc.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHAIN_BYTES_MAX = 64 * 1024, CHAIN_DEPTH_MAX = 8, NAME_MAX_BYTES = 255 };

struct rc_tls {
    atomic_uint refs;
    uint32_t count;
    int64_t valid_until;
    bool uses_kernel;
    uint64_t fingerprint; /* of a client's */
    SSL_CTX *contexts[];
};

/* ---- errors ---- */

/* What the library said first, which is nearest to the cause. Clears its queue. */
static const char *library_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return text != NULL ? text : "unknown error";
}

/* The library's own messages for files hide the errno. */
static int check_readable(const char *what, const char *path, struct rc_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1)
        return rc_error_set(error, rc_err_from_errno(errno), "the %s %s cannot be read: %s", what, path,
                            strerror(errno));
    close(fd);
    return RC_OK;
}

/* ---- certificates ---- */

static void format_time(const ASN1_TIME *time, char out[32])
{
    struct tm parts;
    snprintf(out, 32, "an unknown time");
    if (ASN1_TIME_to_tm(time, &parts) == 1)
        strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &parts);
}

static int check_validity(X509 *certificate, const char *path, struct rc_error *error)
{
    char when[32];
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
        format_time(X509_get0_notAfter(certificate), when);
        return rc_error_set(error, RC_ERR_INVALID, "the certificate %s has expired on %s", path, when);
    }
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
        format_time(X509_get0_notBefore(certificate), when);
        return rc_error_set(error, RC_ERR_INVALID, "the certificate %s is not valid before %s", path, when);
    }
    return RC_OK;
}

static void note_end(struct rc_tls *tls, X509 *certificate)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1)
        return;
    int64_t end = timegm(&parts);
    if (tls->valid_until == 0 || end < tls->valid_until)
        tls->valid_until = end;
}

static int use_certificate(struct rc_tls *tls, SSL_CTX *context, const char *path, struct rc_error *error)
{
    int err = check_readable("certificate", path, error);
    if (err != RC_OK)
        return err;
    if (SSL_CTX_use_certificate_chain_file(context, path) != 1)
        return rc_error_set(error, RC_ERR_INVALID, "the file %s is no certificate in PEM form: %s", path,
                            library_reason());
    X509 *certificate = SSL_CTX_get0_certificate(context);
    note_end(tls, certificate);
    return check_validity(certificate, path, error);
}

/* Asked for the password of an encrypted key: there is nobody to ask. */
static int refuse_password(char *out, int size, int is_writing, void *arg)
{
    *(bool *)arg = true;
    return -1;
}

static int use_key(SSL_CTX *context, const struct rc_tls_pair *pair, struct rc_error *error)
{
    bool is_encrypted = false;
    int err = check_readable("private key", pair->key, error);
    if (err != RC_OK)
        return err;
    BIO *file = BIO_new_file(pair->key, "r");
    EVP_PKEY *key = file != NULL ? PEM_read_bio_PrivateKey(file, NULL, refuse_password, &is_encrypted) : NULL;
    BIO_free(file);
    if (key == NULL) {
        const char *reason = library_reason();
        return is_encrypted
                   ? rc_error_set(error, RC_ERR_INVALID,
                                  "the private key %s is encrypted; an unencrypted one is needed", pair->key)
                   : rc_error_set(error, RC_ERR_INVALID, "the file %s is no private key in PEM form: %s",
                                  pair->key, reason);
    }
    bool fits = X509_check_private_key(SSL_CTX_get0_certificate(context), key) == 1;
    bool is_used = fits && SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    if (!fits) {
        ERR_clear_error();
        return rc_error_set(error, RC_ERR_INVALID, "the private key %s does not belong to the certificate %s",
                            pair->key, pair->certificate);
    }
    return is_used ? RC_OK
                   : rc_error_set(error, RC_ERR_INVALID, "the private key %s cannot be used: %s", pair->key,
                                  library_reason());
}

/* ---- clients' certificates ---- */

/* The handshake goes on whoever signed it; the error says that nobody has looked yet. */
static int leave_for_later(X509_STORE_CTX *verification, void *arg)
{
    X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION);
    return 1;
}

static int use_client_ca(SSL_CTX *context, const struct rc_tls_settings *settings, struct rc_error *error)
{
    if (settings->client_certificate == RC_TLS_CLIENT_NONE)
        return RC_OK;
    if (settings->client_certificate == RC_TLS_CLIENT_REGISTERED) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_set_cert_verify_callback(context, leave_for_later, NULL);
        return RC_OK;
    }
    int err = check_readable("client CA", settings->client_ca, error);
    if (err != RC_OK)
        return err;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(settings->client_ca);
    if (names == NULL || SSL_CTX_load_verify_file(context, settings->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return rc_error_set(error, RC_ERR_INVALID, "the file %s holds no certificates in PEM form: %s",
                            settings->client_ca, library_reason());
    }
    SSL_CTX_set_client_CA_list(context, names);
    int mode = SSL_VERIFY_PEER;
    if (settings->client_certificate == RC_TLS_CLIENT_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, mode, NULL);
    SSL_CTX_set_verify_depth(context, CHAIN_DEPTH_MAX);
    return RC_OK;
}

/* ---- one context ---- */

static int use_ciphers(SSL_CTX *context, const struct rc_tls_settings *settings, struct rc_tls_fault *fault,
                       struct rc_error *error)
{
    if (settings->ciphers[0] != '\0' && SSL_CTX_set_cipher_list(context, settings->ciphers) != 1) {
        fault->part = RC_TLS_PART_CIPHERS;
        return rc_error_set(error, RC_ERR_INVALID, "'%.200s' names no cipher of TLS 1.2: %s",
                            settings->ciphers, library_reason());
    }
    if (settings->ciphersuites[0] != '\0' && SSL_CTX_set_ciphersuites(context, settings->ciphersuites) != 1) {
        fault->part = RC_TLS_PART_CIPHERSUITES;
        return rc_error_set(error, RC_ERR_INVALID, "'%.200s' is no list of TLS 1.3 cipher suites: %s",
                            settings->ciphersuites, library_reason());
    }
    return RC_OK;
}

static SSL_CTX *create_context(const struct rc_tls_settings *settings, bool uses_kernel)
{
    static const unsigned char session_id_context[] = "rollcall";
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(context, settings->has_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(context, settings->has_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    /* A peer that goes without saying so in TLS is as one that closes its TCP connection: gone. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     (uses_kernel ? SSL_OP_ENABLE_KTLS : 0));
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, session_id_context, sizeof(session_id_context) - 1);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_max_cert_list(context, CHAIN_BYTES_MAX);
    return context;
}

static int on_server_name(SSL *ssl, int *alert, void *arg);

static int fill_context(struct rc_tls *tls, SSL_CTX *context, const struct rc_tls_settings *settings,
                        struct rc_tls_fault *fault, struct rc_error *error)
{
    const struct rc_tls_pair *pair = &settings->pairs[fault->pair];
    fault->part = RC_TLS_PART_CERTIFICATE;
    int err = use_certificate(tls, context, pair->certificate, error);
    if (err == RC_OK) {
        fault->part = RC_TLS_PART_KEY;
        err = use_key(context, pair, error);
    }
    if (err == RC_OK) {
        fault->part = RC_TLS_PART_CLIENT_CA;
        err = use_client_ca(context, settings, error);
    }
    err = err ? err : use_ciphers(context, settings, fault, error);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, tls);
    return err;
}

/* ---- choosing by name ---- */

static bool fits(SSL_CTX *context, const char *name)
{
    return X509_check_host(SSL_CTX_get0_certificate(context), name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                           NULL) == 1;
}

/* `tls` lives as long as the handshake: the layer holds a reference. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    struct rc_tls *tls = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL || name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return SSL_TLSEXT_ERR_NOACK;
    for (uint32_t i = 0; i < tls->count; i++) {
        if (!fits(tls->contexts[i], name))
            continue;
        if (SSL_get_SSL_CTX(ssl) != tls->contexts[i])
            SSL_set_SSL_CTX(ssl, tls->contexts[i]);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK; /* the first certificate; the client decides whether it likes it */
}

/* ---- life ---- */

/* The kernel says which protocols it can stack on TCP; asking is cheaper than trying on every connection. */
static bool kernel_has_tls(void)
{
    char names[256];
    int fd = open("/proc/sys/net/ipv4/tcp_available_ulp", O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return false;
    ssize_t len = read(fd, names, sizeof(names) - 1);
    close(fd);
    names[len > 0 ? len : 0] = '\0';
    return strstr(names, "tls") != NULL;
}

int rc_tls_create(const struct rc_tls_settings *settings, struct rc_tls **ret, struct rc_tls_fault *fault,
                  struct rc_error *error)
{
    struct rc_tls *tls = rc_calloc(1, sizeof(*tls) + settings->count * sizeof(tls->contexts[0]));
    int err = RC_OK;
    atomic_init(&tls->refs, 1);
    tls->uses_kernel = settings->kernel_tls && kernel_has_tls();
    ERR_clear_error();
    *fault = (struct rc_tls_fault){0};
    for (; err == RC_OK && tls->count < settings->count; tls->count++) {
        fault->pair = tls->count;
        SSL_CTX *context = create_context(settings, tls->uses_kernel);
        tls->contexts[tls->count] = context;
        err = context != NULL ? fill_context(tls, context, settings, fault, error)
                              : rc_error_set(error, RC_ERR_FULL, "no TLS context: %s", library_reason());
    }
    if (err != RC_OK) {
        rc_tls_unref(tls);
        return err;
    }
    *ret = tls;
    return RC_OK;
}

/* ---- for outgoing connections ---- */

static int use_servers_ca(SSL_CTX *context, const struct rc_tls_client_settings *settings,
                          struct rc_error *error)
{
    SSL_CTX_set_verify(context, settings->is_unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify_depth(context, CHAIN_DEPTH_MAX);
    if (settings->ca[0] == '\0') {
        SSL_CTX_set_default_verify_paths(context);
        return RC_OK;
    }
    int err = check_readable("CA", settings->ca, error);
    if (err == RC_OK && SSL_CTX_load_verify_file(context, settings->ca) != 1)
        err = rc_error_set(error, RC_ERR_INVALID, "the file %s holds no certificates in PEM form: %s",
                           settings->ca, library_reason());
    return err;
}

/* FNV-1a. The files were read by the library before; what cannot be read now has but its name. */
static uint64_t mix_file(uint64_t hash, const char *path)
{
    uint8_t bytes[4096];
    ssize_t len = (ssize_t)strlen(path) + 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)path[i]) * 0x100000001b3u;
    while (fd != -1 && (len = read(fd, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < len; i++)
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
    if (fd != -1)
        close(fd);
    return hash;
}

int rc_tls_create_client(const struct rc_tls_client_settings *settings, struct rc_tls **ret,
                         struct rc_error *error)
{
    struct rc_tls *tls = rc_calloc(1, sizeof(*tls) + sizeof(tls->contexts[0]));
    const struct rc_tls_pair pair = {settings->certificate, settings->key};
    atomic_init(&tls->refs, 1);
    ERR_clear_error();
    SSL_CTX *context = tls->contexts[0] = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        free(tls);
        return rc_error_set(error, RC_ERR_FULL, "no TLS context: %s", library_reason());
    }
    tls->count = 1;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_max_cert_list(context, CHAIN_BYTES_MAX);
    int err = use_servers_ca(context, settings, error);
    if (err == RC_OK && pair.certificate[0] != '\0') {
        err = use_certificate(tls, context, pair.certificate, error);
        err = err ? err : use_key(context, &pair, error);
    }
    if (err != RC_OK) {
        rc_tls_unref(tls);
        return err;
    }
    tls->fingerprint = mix_file(0xcbf29ce484222325u ^ settings->is_unverified, settings->ca);
    tls->fingerprint = mix_file(mix_file(tls->fingerprint, settings->certificate), settings->key);
    *ret = tls;
    return RC_OK;
}

uint64_t rc_tls_fingerprint(const struct rc_tls *tls)
{
    return tls->fingerprint;
}

/* ---- sharing ---- */

struct rc_tls *rc_tls_ref(struct rc_tls *tls)
{
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

void rc_tls_unref(struct rc_tls *tls)
{
    if (tls == NULL || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < tls->count; i++)
        SSL_CTX_free(tls->contexts[i]);
    free(tls);
}

int64_t rc_tls_valid_until(const struct rc_tls *tls)
{
    return tls->valid_until;
}

struct ssl_st *rc_tls_connection(struct rc_tls *tls)
{
    return SSL_new(tls->contexts[0]);
}

bool rc_tls_uses_kernel(const struct rc_tls *tls)
{
    return tls->uses_kernel;
}
