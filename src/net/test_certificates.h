/* For tests: certificates made on the spot, in files of a directory of their own. */
#ifndef RC_NET_TEST_CERTIFICATES_H
#define RC_NET_TEST_CERTIFICATES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_PATH_MAX = 160 };

struct test_certificate {
    const char *name; /* of the files: <name>.pem and <name>.key */
    const char *common_name;
    const char *names; /* subjectAltName, "DNS:a,DNS:b"; NULL for none */
    long from_s, to_s; /* from now */
    bool is_ca;
};

/* dir + "/" + name + ending */
static inline const char *test_path(char out[TEST_PATH_MAX], const char *dir, const char *name,
                                    const char *ending)
{
    assert_true(snprintf(out, TEST_PATH_MAX, "%s/%s%s", dir, name, ending) < TEST_PATH_MAX);
    return out;
}

static inline EVP_PKEY *test_read_key(const char *dir, const char *name)
{
    char path[TEST_PATH_MAX];
    FILE *file = fopen(test_path(path, dir, name, ".key"), "r");
    assert_non_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(key);
    return key;
}

static inline X509 *test_read_certificate(const char *dir, const char *name)
{
    char path[TEST_PATH_MAX];
    FILE *file = fopen(test_path(path, dir, name, ".pem"), "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(certificate);
    return certificate;
}

static inline void test_extend(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void test_save(const char *dir, const char *name, X509 *certificate, EVP_PKEY *key)
{
    char path[TEST_PATH_MAX];
    FILE *file = fopen(test_path(path, dir, name, ".pem"), "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    file = fopen(test_path(path, dir, name, ".key"), "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

/* `issuer`: the name of one that was made before; NULL signs itself. */
static inline void test_make_certificate(const char *dir, const struct test_certificate *wanted,
                                         const char *issuer)
{
    static long serial = 0x1001;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_true(key != NULL && certificate != NULL);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), wanted->from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wanted->to_s);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Test", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)wanted->common_name, -1, -1,
                               0);
    if (wanted->is_ca)
        test_extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (wanted->names != NULL)
        test_extend(certificate, NID_subject_alt_name, wanted->names);
    X509 *by = issuer != NULL ? test_read_certificate(dir, issuer) : certificate;
    EVP_PKEY *by_key = issuer != NULL ? test_read_key(dir, issuer) : key;
    X509_set_issuer_name(certificate, X509_get_subject_name(by));
    assert_true(X509_sign(certificate, by_key, EVP_sha256()) > 0);
    test_save(dir, wanted->name, certificate, key);
    if (issuer != NULL) {
        X509_free(by);
        EVP_PKEY_free(by_key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static inline void test_remove_certificate(const char *dir, const char *name)
{
    char path[TEST_PATH_MAX];
    unlink(test_path(path, dir, name, ".pem"));
    unlink(test_path(path, dir, name, ".key"));
}

#endif
