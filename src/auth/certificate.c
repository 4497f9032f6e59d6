#include "auth/certificate.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { DEPTH_MAX = 4 };

X509 *rc_certificate_read(struct rc_slice pem)
{
    if (pem.len == 0 || pem.len > RC_CATALOG_CERTIFICATE_MAX)
        return NULL;
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

bool rc_certificate_sn(const X509 *certificate, char ret[RC_CATALOG_SN_MAX + 1])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number != NULL ? BN_bn2hex(number) : NULL;
    size_t len = text != NULL ? strlen(text) : 0;
    bool fits = len > 0 && len <= RC_CATALOG_SN_MAX && !BN_is_negative(number);
    for (size_t i = 0; fits && i <= len; i++)
        ret[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + 'a' - 'A' : text[i]);
    OPENSSL_free(text);
    BN_free(number);
    return fits;
}

/* The active CAs, as a list of those that are trusted; their references are the catalog's. */
static STACK_OF(X509) * trusted(const struct rc_instance *instance)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    struct rc_trie_walk walk;
    const struct rc_ca *ca;
    rc_trie_walk_start(&walk, &instance->cas);
    while (list != NULL && (ca = rc_trie_walk_next(&walk)) != NULL)
        if (ca->is_active)
            sk_X509_push(list, ca->certificate);
    return list;
}

/* Which of the CAs ends the chain that was found. */
static const struct rc_ca *ca_of(const struct rc_instance *instance, const STACK_OF(X509) * chain)
{
    const X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);
    struct rc_trie_walk walk;
    const struct rc_ca *ca;
    rc_trie_walk_start(&walk, &instance->cas);
    while ((ca = rc_trie_walk_next(&walk)) != NULL)
        if (ca->is_active && X509_cmp(ca->certificate, last) == 0)
            return ca;
    return NULL;
}

bool rc_certificate_check(const struct rc_instance *instance, const X509 *certificate,
                          const STACK_OF(X509) * chain, char ret_key[RC_CERTIFICATE_KEY_MAX + 1])
{
    char sn[RC_CATALOG_SN_MAX + 1];
    bool counts = false;
    if (instance->cas.count == 0)
        return false;
    STACK_OF(X509) *cas = trusted(instance);
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (cas != NULL && context != NULL &&
        X509_STORE_CTX_init(context, NULL, (X509 *)(uintptr_t)certificate,
                            (STACK_OF(X509) *)(uintptr_t)chain) == 1) {
        X509_STORE_CTX_set0_trusted_stack(context, cas);
        X509_STORE_CTX_set_flags(context,
                                 X509_V_FLAG_PARTIAL_CHAIN); /* a CA below another may be registered */
        X509_STORE_CTX_set_depth(context, DEPTH_MAX);
        X509_STORE_CTX_set_default(context, "ssl_client");
        bool is_verified = X509_verify_cert(context) == 1 && rc_certificate_sn(certificate, sn);
        const struct rc_ca *ca = is_verified ? ca_of(instance, X509_STORE_CTX_get0_chain(context)) : NULL;
        if (ca != NULL) {
            memcpy(ret_key, ca->sn.ptr, ca->sn.len);
            ret_key[ca->sn.len] = '/';
            memcpy(ret_key + ca->sn.len + 1, sn, strlen(sn) + 1);
            counts = rc_certificate_counts(instance, rc_slice_str(ret_key));
        }
    }
    X509_STORE_CTX_free(context);
    sk_X509_free(cas);
    ERR_clear_error();
    return counts;
}

bool rc_certificate_counts(const struct rc_instance *instance, struct rc_slice key)
{
    const uint8_t *slash = memchr(key.ptr, '/', key.len);
    if (slash == NULL)
        return false;
    const struct rc_ca *ca = rc_trie_find(&instance->cas, rc_slice(key.ptr, (size_t)(slash - key.ptr)));
    const struct rc_mark *mark = rc_instance_mark(&instance->devices, key);
    return ca != NULL && ca->is_active && (mark == NULL || mark->until_ms == 0);
}

bool rc_certificate_is_known(const struct rc_instance *instance, struct rc_slice key)
{
    return rc_instance_mark(&instance->devices, key) != NULL;
}
