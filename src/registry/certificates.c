/* CAs of devices, and the devices' certificates that were seen. */
#include "auth/certificate.h"
#include "registry/private.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

/* ---- reading certificates ---- */

static int64_t time_of(const ASN1_TIME *at)
{
    struct tm tm;
    return ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void free_x509(void *certificate)
{
    X509_free(certificate);
}

int rc_registry_put_ca(struct rc_instance *instance, struct rc_slice sn, struct rc_slice content,
                       bool is_active, struct rc_error *error)
{
    X509 *certificate = rc_certificate_read(content);
    if (certificate == NULL)
        return rc_registry_refuse(error, RC_ERR_INVALID, "CA certificate", sn);
    X509_check_purpose(certificate, -1,
                       0); /* it is read into the structure now, not by several shards later */
    rc_catalog_put_ca(instance, sn, certificate, free_x509, is_active);
    return RC_OK;
}

/* ---- registering a CA ---- */

int rc_registry_registration_code(struct rc_registry *registry, struct rc_slice instance,
                                  char ret[RC_CATALOG_ID_MAX + 1], struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    sqlite3_stmt *statement =
        rc_sql_bind(sql, "SELECT registration_code FROM instances WHERE id = ?", "t", instance);
    int err = rc_sql_row(sql, statement, error);
    if (err != 1)
        return err < 0 ? err : rc_registry_refuse(error, RC_ERR_NOT_FOUND, "instance", instance);
    struct rc_slice code = rc_sql_text(statement, 0);
    size_t len = code.len < RC_CATALOG_ID_MAX ? code.len : RC_CATALOG_ID_MAX;
    memcpy(ret, code.ptr, len);
    ret[len] = '\0';
    rc_sql_end(statement);
    return RC_OK;
}

/* Whoever registers a CA has its private key: he signed a certificate with our code for its name. */
static bool is_verified(X509 *ca, struct rc_slice verification, const char *code)
{
    char name[RC_CATALOG_ID_MAX + 2];
    X509 *certificate = rc_certificate_read(verification);
    bool is_right = certificate != NULL &&
                    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                              sizeof(name)) > 0 &&
                    strcmp(name, code) == 0 && X509_verify(certificate, X509_get0_pubkey(ca)) == 1;
    ERR_clear_error();
    X509_free(certificate);
    return is_right;
}

static int insert_certificate(struct rc_registry *registry, struct rc_slice instance,
                              const struct rc_registry_certificate *row, struct rc_error *error)
{
    int changed = rc_sql_run(
        &registry->sql,
        rc_sql_bind(&registry->sql, "INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                    "tttttttiii", instance, row->ca_sn, row->sn, row->name, row->content, row->verification,
                    row->registration_code, (int64_t)row->is_active, row->valid_from_ms, row->valid_to_ms),
        error);
    if (changed == RC_ERR_EXISTS)
        return rc_registry_refuse(error, RC_ERR_EXISTS, "certificate", row->sn);
    return changed < 0 ? changed : RC_OK;
}

int rc_registry_register_ca(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice name,
                            struct rc_slice content, struct rc_slice verification, bool is_active,
                            char ret_sn[RC_CATALOG_SN_MAX + 1], struct rc_error *error)
{
    char code[RC_CATALOG_ID_MAX + 1], sn[RC_CATALOG_SN_MAX + 1];
    struct rc_instance *instance;
    if (name.len == 0 || name.len > RC_REGISTRY_TAG_TEXT_MAX)
        return rc_registry_refuse(error, RC_ERR_INVALID, "CA name", name);
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    err = err ? err : rc_registry_registration_code(registry, instance_id, code, error);
    if (err != RC_OK)
        return err;
    if (instance->cas.count >= RC_CERTIFICATE_CAS_MAX)
        return rc_registry_refuse(error, RC_ERR_FULL, "CA certificate", name);
    X509 *ca = rc_certificate_read(content);
    struct rc_registry_certificate row = {.name = name,
                                          .content = content,
                                          .verification = verification,
                                          .registration_code = rc_slice_str(code),
                                          .is_active = is_active};
    if (ca == NULL || X509_check_ca(ca) == 0 || !rc_certificate_sn(ca, sn))
        err = rc_error_set(error, RC_ERR_INVALID, "That is no certificate of a CA, in PEM.");
    else if (!is_verified(ca, verification, code))
        err =
            rc_error_set(error, RC_ERR_DENIED,
                         "The verification certificate is not signed by the CA with the registration code as "
                         "its common name.");
    if (err == RC_OK) {
        row.sn = rc_slice_str(sn);
        row.valid_from_ms = time_of(X509_get0_notBefore(ca));
        row.valid_to_ms = time_of(X509_get0_notAfter(ca));
        err = insert_certificate(registry, instance_id, &row, error);
    }
    X509_free(ca);
    err = err ? err : rc_registry_put_ca(instance, rc_slice_str(sn), content, is_active, error);
    if (err == RC_OK)
        memcpy(ret_sn, sn, strlen(sn) + 1);
    return err;
}

int rc_registry_declare_certificate(struct rc_registry *registry, struct rc_slice instance,
                                    const struct rc_declared_certificate *declared, struct rc_error *error)
{
    char name[RC_REGISTRY_TAG_TEXT_MAX + 1] = "";
    struct rc_slice key = declared->key, ca_sn = rc_slice(key.ptr, 0);
    const uint8_t *slash = memchr(key.ptr, '/', key.len);
    X509 *certificate = rc_certificate_read(declared->content);
    if (certificate == NULL)
        return rc_registry_refuse(error, RC_ERR_INVALID, "certificate", key);
    if (slash != NULL) {
        ca_sn = rc_slice(key.ptr, (size_t)(slash - key.ptr));
        key = rc_slice_from(key, ca_sn.len + 1);
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
    }
    int err = rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql,
                    "INSERT INTO certificates VALUES (?1, ?2, ?3, ?4, ?5, '', '', ?6, ?7, ?8, 1)"
                    " ON CONFLICT DO UPDATE SET name = ?4, content = ?5, is_active = ?6, valid_from = ?7,"
                    " valid_to = ?8, origin = 1 WHERE origin = 2",
                    "tttttiii", instance, ca_sn, key,
                    declared->name.len > 0 ? declared->name : rc_slice_str(name), declared->content,
                    (int64_t)declared->is_active, time_of(X509_get0_notBefore(certificate)),
                    time_of(X509_get0_notAfter(certificate))),
        error);
    X509_free(certificate);
    return err;
}

/* ---- changing ---- */

/* The key of a device's certificate; `ca_sn` empty: of a CA's. */
static struct rc_slice device_key(char out[2 * RC_CATALOG_SN_MAX + 1], struct rc_slice ca_sn,
                                  struct rc_slice sn)
{
    if (ca_sn.len > RC_CATALOG_SN_MAX || sn.len > RC_CATALOG_SN_MAX)
        return rc_slice(out, 0);
    if (ca_sn.len == 0)
        return sn;
    memcpy(out, ca_sn.ptr, ca_sn.len);
    out[ca_sn.len] = '/';
    memcpy(out + ca_sn.len + 1, sn.ptr, sn.len);
    return rc_slice(out, ca_sn.len + 1 + sn.len);
}

/* What the file declares of it; NULL: nothing. */
static const struct rc_declared_certificate *declared_of(const struct rc_registry *registry,
                                                         struct rc_slice instance_id, struct rc_slice ca_sn,
                                                         struct rc_slice sn)
{
    char key[2 * RC_CATALOG_SN_MAX + 1];
    const struct rc_instance *instance = rc_registry_declared(registry, instance_id);
    return instance != NULL ? rc_trie_find(&instance->certificates, device_key(key, ca_sn, sn)) : NULL;
}

/* Begins a change of one that is not the file's. */
static int edit(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice ca_sn,
                struct rc_slice sn, struct rc_instance **ret, struct rc_error *error)
{
    if (declared_of(registry, instance_id, ca_sn, sn) != NULL)
        return rc_registry_refuse_declared(registry, "certificate", sn, error);
    return rc_registry_edit(registry, instance_id, ret, error);
}

static int set_active(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                      struct rc_slice sn, bool is_active, struct rc_error *error)
{
    int changed = rc_sql_run(
        &registry->sql,
        rc_sql_bind(&registry->sql,
                    "UPDATE certificates SET is_active = ? WHERE instance = ? AND ca_sn = ? AND sn = ?",
                    "ittt", (int64_t)is_active, instance, ca_sn, sn),
        error);
    if (changed == 0)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "certificate", sn);
    if (!is_active)
        registry->change.all = true;
    return changed < 0 ? changed : RC_OK;
}

struct content {
    struct rc_instance *instance;
    bool is_active;
    int err;
    struct rc_error *error;
};

static void put_again(const struct rc_registry_certificate *row, void *arg)
{
    struct content *content = arg;
    content->err =
        rc_registry_put_ca(content->instance, row->sn, row->content, content->is_active, content->error);
}

int rc_registry_set_ca_active(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice sn,
                              bool is_active, struct rc_error *error)
{
    struct content content = {.is_active = is_active, .error = error};
    int err = edit(registry, instance_id, rc_slice(NULL, 0), sn, &content.instance, error);
    err = err ? err : set_active(registry, instance_id, rc_slice(NULL, 0), sn, is_active, error);
    err = err ? err : rc_registry_get_ca(registry, instance_id, sn, put_again, &content, error);
    return err ? err : content.err;
}

int rc_registry_delete_ca(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice sn,
                          struct rc_error *error)
{
    char key[2 * RC_CATALOG_SN_MAX + 1];
    struct rc_instance *instance;
    struct rc_sql *sql = &registry->sql;
    int err = edit(registry, instance_id, rc_slice(NULL, 0), sn, &instance, error);
    if (err != RC_OK)
        return err;
    if (!rc_trie_remove(&instance->cas, sn))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "certificate", sn);
    registry->change.all = true;
    sqlite3_stmt *statement = rc_sql_bind(
        sql, "DELETE FROM certificates WHERE instance = ? AND ca_sn = ? RETURNING sn", "tt", instance_id, sn);
    while ((err = rc_sql_row(sql, statement, error)) == 1)
        rc_trie_remove(&instance->devices, device_key(key, sn, rc_sql_text(statement, 0)));
    if (err < 0)
        return err;
    err = rc_sql_run(sql,
                     rc_sql_bind(sql, "DELETE FROM certificates WHERE instance = ? AND ca_sn = '' AND sn = ?",
                                 "tt", instance_id, sn),
                     error);
    return err < 0 ? err : RC_OK;
}

int rc_registry_see_device(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                           struct rc_slice content, struct rc_error *error)
{
    char sn[RC_CATALOG_SN_MAX + 1], name[RC_REGISTRY_TAG_TEXT_MAX + 1] = "", key[2 * RC_CATALOG_SN_MAX + 1];
    struct rc_instance *to;
    X509 *certificate = rc_certificate_read(content);
    int err = rc_registry_edit(registry, instance, &to, error);
    if (err == RC_OK && (certificate == NULL || !rc_certificate_sn(certificate, sn)))
        err = rc_error_set(error, RC_ERR_INVALID, "That is no certificate, in PEM.");
    if (err == RC_OK) {
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
        struct rc_registry_certificate row = {
            .ca_sn = ca_sn,
            .sn = rc_slice_str(sn),
            .name = rc_slice_str(name),
            .content = content,
            .is_active = true,
            .valid_from_ms = time_of(X509_get0_notBefore(certificate)),
            .valid_to_ms = time_of(X509_get0_notAfter(certificate)),
        };
        err = insert_certificate(registry, instance, &row, error);
        if (err == RC_OK)
            rc_catalog_put_mark(&to->devices, device_key(key, ca_sn, row.sn), 0);
    }
    X509_free(certificate);
    return err;
}

int rc_registry_set_device_active(struct rc_registry *registry, struct rc_slice instance_id,
                                  struct rc_slice ca_sn, struct rc_slice sn, bool is_active,
                                  struct rc_error *error)
{
    char key[2 * RC_CATALOG_SN_MAX + 1];
    struct rc_instance *instance;
    int err = edit(registry, instance_id, ca_sn, sn, &instance, error);
    if (err == RC_OK && ca_sn.len == 0)
        err = rc_registry_refuse(error, RC_ERR_NOT_FOUND, "certificate", sn);
    err = err ? err : set_active(registry, instance_id, ca_sn, sn, is_active, error);
    if (err != RC_OK)
        return err;
    rc_catalog_put_mark(&instance->devices, device_key(key, ca_sn, sn), is_active ? 0 : INT64_MAX);
    return RC_OK;
}

int rc_registry_delete_device(struct rc_registry *registry, struct rc_slice instance_id,
                              struct rc_slice ca_sn, struct rc_slice sn, struct rc_error *error)
{
    char key[2 * RC_CATALOG_SN_MAX + 1];
    struct rc_instance *instance;
    int err = edit(registry, instance_id, ca_sn, sn, &instance, error);
    if (err != RC_OK)
        return err;
    int changed = ca_sn.len == 0
                      ? 0
                      : rc_sql_run(&registry->sql,
                                   rc_sql_bind(&registry->sql,
                                               "DELETE FROM certificates WHERE instance = ? AND ca_sn"
                                               " = ? AND sn = ?",
                                               "ttt", instance_id, ca_sn, sn),
                                   error);
    if (changed == 0)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "certificate", sn);
    rc_trie_remove(&instance->devices, device_key(key, ca_sn, sn));
    return changed < 0 ? changed : RC_OK;
}

/* ---- reading ---- */

static int visit_all(struct rc_registry *registry, struct rc_slice instance, sqlite3_stmt *statement,
                     rc_registry_certificate_fn visit, void *arg, struct rc_error *error)
{
    int err, count = 0;
    while ((err = rc_sql_row(&registry->sql, statement, error)) == 1) {
        struct rc_registry_certificate row = {
            .ca_sn = rc_sql_text(statement, 0),
            .sn = rc_sql_text(statement, 1),
            .name = rc_sql_text(statement, 2),
            .content = rc_sql_text(statement, 3),
            .verification = rc_sql_text(statement, 4),
            .registration_code = rc_sql_text(statement, 5),
            .is_active = sqlite3_column_int(statement, 6) != 0,
            .valid_from_ms = sqlite3_column_int64(statement, 7),
            .valid_to_ms = sqlite3_column_int64(statement, 8),
        };
        const struct rc_declared_certificate *declared = declared_of(registry, instance, row.ca_sn, row.sn);
        if (declared != NULL) {
            row.name = declared->name.len > 0 ? declared->name : row.name;
            row.content = declared->content;
            row.is_active = declared->is_active;
            row.is_declared = true;
        }
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}

#define COLUMNS "SELECT ca_sn, sn, name, content, verification, code, is_active, valid_from, valid_to "

int rc_registry_get_device(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                           struct rc_slice sn, rc_registry_certificate_fn visit, void *arg,
                           struct rc_error *error)
{
    int count = visit_all(registry, instance,
                          rc_sql_bind(&registry->sql,
                                      COLUMNS "FROM certificates WHERE instance = ? AND ca_sn = ? AND sn = ?",
                                      "ttt", instance, ca_sn, sn),
                          visit, arg, error);
    if (count == 0)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "certificate", sn);
    return count < 0 ? count : RC_OK;
}

int rc_registry_get_ca(struct rc_registry *registry, struct rc_slice instance, struct rc_slice sn,
                       rc_registry_certificate_fn visit, void *arg, struct rc_error *error)
{
    return rc_registry_get_device(registry, instance, rc_slice(NULL, 0), sn, visit, arg, error);
}

int rc_registry_list_cas(struct rc_registry *registry, struct rc_slice instance,
                         const struct rc_registry_page *page, rc_registry_certificate_fn visit, void *arg,
                         uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL)
        *ret_total = (uint64_t)rc_sql_number(
            sql,
            rc_sql_bind(sql, "SELECT count(*) FROM certificates WHERE instance = ? AND ca_sn = ''", "t",
                        instance),
            0);
    return visit_all(registry, instance,
                     rc_sql_bind(sql,
                                 COLUMNS "FROM certificates WHERE instance = ? AND ca_sn = '' AND sn > ?"
                                         " ORDER BY sn LIMIT ? OFFSET ?",
                                 "ttii", instance, page->after, (int64_t)page->limit, (int64_t)page->skip),
                     visit, arg, NULL);
}

int rc_registry_list_devices(struct rc_registry *registry, struct rc_slice instance, struct rc_slice ca_sn,
                             const struct rc_registry_page *page, rc_registry_certificate_fn visit, void *arg,
                             uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL)
        *ret_total = (uint64_t)rc_sql_number(
            sql,
            rc_sql_bind(
                sql,
                "SELECT count(*) FROM certificates WHERE instance = ?1 AND ca_sn <> '' AND (?2 = '' OR"
                " ca_sn = ?2)",
                "tt", instance, ca_sn),
            0);
    return visit_all(
        registry, instance,
        rc_sql_bind(sql,
                    COLUMNS "FROM certificates WHERE instance = ?1 AND ca_sn <> '' AND (?2 = '' OR"
                            " ca_sn = ?2) AND sn > ?3 ORDER BY ca_sn, sn LIMIT ?4 OFFSET ?5",
                    "tttii", instance, ca_sn, page->after, (int64_t)page->limit, (int64_t)page->skip),
        visit, arg, NULL);
}

int rc_registry_load_cas(struct rc_registry *registry, struct rc_instance *instance,
                         const struct rc_slice *key, struct rc_error *error)
{
    static const char all[] =
        "SELECT sn, content, is_active FROM certificates WHERE instance = ?1 AND ca_sn = ''"
        " AND origin = 0",
                      one[] =
                          "SELECT sn, content, is_active FROM certificates WHERE instance = ?1 AND ca_sn = ''"
                          " AND origin = 0 AND sn = ?2";
    struct rc_sql *sql = &registry->sql;
    int err;
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, one, instance, key);
    while ((err = rc_sql_row(sql, statement, error)) == 1) {
        struct rc_slice sn = rc_sql_text(statement, 0);
        if (rc_trie_find(&instance->cas, sn) != NULL)
            continue; /* the file declares it by now */
        err = rc_registry_put_ca(instance, sn, rc_sql_text(statement, 1),
                                 sqlite3_column_int(statement, 2) != 0, error);
        if (err != RC_OK) {
            rc_sql_end(statement);
            return err;
        }
    }
    return err;
}

int rc_registry_load_devices(struct rc_registry *registry, struct rc_instance *instance,
                             const struct rc_slice *key, struct rc_error *error)
{
    static const char all[] =
        "SELECT ca_sn, sn, is_active FROM certificates WHERE instance = ?1 AND ca_sn <> ''"
        " AND origin = 0",
                      one[] = "SELECT ca_sn, sn, is_active FROM certificates WHERE instance = ?1"
                              " AND ca_sn = substr(?2, 1, instr(?2, '/') - 1)"
                              " AND sn = substr(?2, instr(?2, '/') + 1) AND origin = 0";
    char text[2 * RC_CATALOG_SN_MAX + 1];
    struct rc_sql *sql = &registry->sql;
    int err;
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, one, instance, key);
    while ((err = rc_sql_row(sql, statement, error)) == 1) {
        struct rc_slice device = device_key(text, rc_sql_text(statement, 0), rc_sql_text(statement, 1));
        if (rc_instance_mark(&instance->devices, device) == NULL)
            rc_catalog_put_mark(&instance->devices, device,
                                sqlite3_column_int(statement, 2) != 0 ? 0 : INT64_MAX);
    }
    return err;
}
