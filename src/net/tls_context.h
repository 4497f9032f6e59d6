/*
 * What a listener needs for TLS: certificates with their keys, whom it trusts, which versions. Made by the
 * main thread from files, checked whole, then unchangeable: new certificates are a new object, and handshakes
 * that began with the old one end with it. References may be taken and dropped on any thread.
 */
#ifndef RC_NET_TLS_CONTEXT_H
#define RC_NET_TLS_CONTEXT_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct rc_tls;

enum { RC_TLS_CERTIFICATES_MAX = 64 };

enum rc_tls_client_certificate {
    RC_TLS_CLIENT_NONE,
    RC_TLS_CLIENT_OPTIONAL,
    RC_TLS_CLIENT_REQUIRED,
    /* One must be shown, and its owner must have the key; who signed it is for somebody else to look at
     * (rc_stream_tls_is_unchecked). */
    RC_TLS_CLIENT_REGISTERED,
};

struct rc_tls_pair {
    const char *certificate; /* PEM file: the server's own certificate first, then those that signed it */
    const char *key;         /* PEM file, not encrypted */
};

struct rc_tls_settings {
    const struct rc_tls_pair *pairs; /* at least one; the first is for names that fit none, and for no name */
    uint32_t count;
    const char *client_ca; /* PEM file; needed for RC_TLS_CLIENT_OPTIONAL and _REQUIRED */
    enum rc_tls_client_certificate client_certificate;
    bool has_tls12, has_tls13;
    const char *ciphers;      /* of TLS 1.2, in OpenSSL's notation; "" for the library's choice */
    const char *ciphersuites; /* of TLS 1.3, likewise */
    bool kernel_tls;          /* let the kernel encrypt where it can */
};

enum rc_tls_part {
    RC_TLS_PART_CERTIFICATE,
    RC_TLS_PART_KEY,
    RC_TLS_PART_CLIENT_CA,
    RC_TLS_PART_CIPHERS,
    RC_TLS_PART_CIPHERSUITES,
};

/* What of the settings is wrong. */
struct rc_tls_fault {
    enum rc_tls_part part;
    uint32_t pair; /* of a certificate or key */
};

/*
 * Reads the files (blocks: the main thread). A file that cannot be read, a key of another certificate, a
 * certificate that is not valid now: a negative rc_err, `error` says it in a sentence and `fault` where. One
 * reference for the caller.
 */
int rc_tls_create(const struct rc_tls_settings *settings, struct rc_tls **ret, struct rc_tls_fault *fault,
                  struct rc_error *error);

/* For connections that this process opens. */
struct rc_tls_client_settings {
    const char *ca; /* PEM file: who may have signed the server's certificate; "": as the system says */
    const char *certificate, *key; /* to show where it is asked for; "": none */
    bool is_unverified;            /* whoever answers is believed: no protection but from listeners */
};
/* As rc_tls_create. */
int rc_tls_create_client(const struct rc_tls_client_settings *settings, struct rc_tls **ret,
                         struct rc_error *error);
/* Of a client's: two that were made alike from files with the same bytes have the same one. */
uint64_t rc_tls_fingerprint(const struct rc_tls *tls);

struct rc_tls *rc_tls_ref(struct rc_tls *tls);
void rc_tls_unref(struct rc_tls *tls); /* NULL is harmless */

/* When the first of the certificates ends, in seconds since the epoch. */
int64_t rc_tls_valid_until(const struct rc_tls *tls);

/* For the TLS layer alone: a connection's object (struct ssl_st), which holds what it needs of `tls`. */
struct ssl_st *rc_tls_connection(struct rc_tls *tls);
/* Whether the kernel may take over, so that the layer gives the library the socket itself. */
bool rc_tls_uses_kernel(const struct rc_tls *tls);

#endif
