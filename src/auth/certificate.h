/*
 * Clients' certificates against the CAs that an instance has registered. The handshake has shown that the
 * client has the private key; whose certificate it is, is decided here. No I/O; any thread that holds the
 * catalog.
 */
#ifndef RC_AUTH_CERTIFICATE_H
#define RC_AUTH_CERTIFICATE_H

#include "catalog/catalog.h"

struct x509_st;
struct stack_st_X509;

enum {
    RC_CERTIFICATE_KEY_MAX = 2 * RC_CATALOG_SN_MAX + 1, /* <CA's serial number>/<serial number> */
    RC_CERTIFICATE_CAS_MAX = 64,                        /* of one instance */
};

/* From PEM; NULL for what is none. The caller frees it. */
struct x509_st *rc_certificate_read(struct rc_slice pem);

/* The serial number as hexadecimal digits in lower case; false for one that is too long or negative. */
bool rc_certificate_sn(const struct x509_st *certificate, char ret[RC_CATALOG_SN_MAX + 1]);

/*
 * Whether an active CA of the instance stands behind the certificate, now and for clients, and it was not
 * made inactive. `chain` (may be NULL): what the client sent besides. `ret_key` names it then.
 */
bool rc_certificate_check(const struct rc_instance *instance, const struct x509_st *certificate,
                          const struct stack_st_X509 *chain, char ret_key[RC_CERTIFICATE_KEY_MAX + 1]);
/* Of one that was checked before: whether its CA, and it, still count. */
bool rc_certificate_counts(const struct rc_instance *instance, struct rc_slice key);
/* Whether it was seen before: rc_registry_see_device was told. */
bool rc_certificate_is_known(const struct rc_instance *instance, struct rc_slice key);

#endif
