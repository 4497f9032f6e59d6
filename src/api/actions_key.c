/* Key pairs. Who has one of an instance makes and deletes those of that instance; administrators' are theirs.
 */
#include "api/registry_work.h"

#include <openssl/crypto.h>
#include <string.h>

enum { SECRET_MIN = 16 };

static const char *const roles[] = {
    [RC_KEY_USER] = "user", [RC_KEY_READ_ONLY] = "read-only", [RC_KEY_ADMIN] = "admin"};

static void put_key(const struct rc_registry_key *row, void *arg)
{
    json_t *item = json_object();
    json_object_set_new(item, "AccessKey", rc_api_text(row->access_key));
    json_object_set_new(item, "InstanceId", rc_api_text(row->instance));
    json_object_set_new(item, "Role", json_string(roles[row->role]));
    json_object_set_new(item, "CreateTime", json_integer(row->created_ms));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared));
    json_array_append_new(arg, item);
}

int rc_work_list_keys(struct rc_registry_work *work)
{
    json_t *list = json_array();
    struct rc_registry_page page = {.after = rc_slice("", 0), .limit = RC_REGISTRY_PAGE_MAX};
    int count;
    json_object_set_new(work->call->answer, "Keys", list);
    do {
        count = rc_registry_list_keys(work->registry, work->instance, work->call->key->role == RC_KEY_ADMIN,
                                      &page, put_key, list, NULL);
        page.skip += count > 0 ? (uint32_t)count : 0;
    } while (count == RC_REGISTRY_PAGE_MAX && page.skip < RC_WORK_LIST_MAX);
    return count < 0 ? count : RC_OK;
}

/* False for a text that names none. */
static bool read_role(struct rc_slice text, enum rc_key_role *ret)
{
    for (int i = 0; i < (int)(sizeof(roles) / sizeof(roles[0])); i++)
        if (rc_slice_eq_str(text, roles[i])) {
            *ret = (enum rc_key_role)i;
            return true;
        }
    return false;
}

/* The one time that the secret is told. */
int rc_work_create_key(struct rc_registry_work *work)
{
    char access_key[RC_CATALOG_ID_MAX + 1], secret_key[RC_CATALOG_SECRET_MAX + 1];
    struct rc_slice text = rc_work_param(work, "Role"), none = rc_slice("", 0);
    enum rc_key_role role = RC_KEY_USER;
    if (text.len > 0 && !read_role(text, &role))
        return rc_work_refuse(work, "Role is user, read-only or admin.");
    if (role == RC_KEY_ADMIN && work->call->key->role != RC_KEY_ADMIN)
        return rc_error_set(work->error, RC_ERR_DENIED, "%s", "An administrator's key is made by one.");
    struct rc_slice secret = rc_work_param(work, "SecretKey");
    if (secret.len > 0 && secret.len < SECRET_MIN)
        return rc_work_refuse(work, "SecretKey has 16 characters at least.");
    int err =
        rc_registry_create_key(work->registry, role == RC_KEY_ADMIN ? none : work->instance, role,
                               rc_work_param(work, "AccessKey"), secret, access_key, secret_key, work->error);
    if (err >= 0) {
        json_object_set_new(work->call->answer, "AccessKey", json_string(access_key));
        json_object_set_new(work->call->answer, "SecretKey", json_string(secret_key));
        json_object_set_new(work->call->answer, "Role", json_string(roles[role]));
    }
    OPENSSL_cleanse(secret_key, sizeof(secret_key));
    return err;
}

/* The key that is named, as far as the caller may change it. */
static int find_key(struct rc_registry_work *work, struct rc_slice access_key)
{
    const struct rc_key_pair *key = rc_catalog_key(rc_registry_catalog(work->registry), access_key);
    bool is_own = key != NULL && rc_slice_eq(key->instance_id, work->instance) && key->role != RC_KEY_ADMIN;
    if (key == NULL || (!is_own && work->call->key->role != RC_KEY_ADMIN))
        return rc_error_set(work->error, RC_ERR_NOT_FOUND, "%s", "There is no such key.");
    return RC_OK;
}

int rc_work_update_key(struct rc_registry_work *work)
{
    struct rc_slice access_key = rc_work_param(work, "AccessKey"), text = rc_work_param(work, "Role");
    struct rc_slice secret = rc_work_param(work, "SecretKey");
    enum rc_key_role role;
    int err = find_key(work, access_key);
    if (err != RC_OK)
        return err;
    if (text.len > 0 && !read_role(text, &role))
        return rc_work_refuse(work, "Role is user, read-only or admin.");
    if (secret.len > 0 && secret.len < SECRET_MIN)
        return rc_work_refuse(work, "SecretKey has 16 characters at least.");
    if (text.len > 0 && rc_slice_eq(access_key, work->call->key->access_key))
        return rc_error_set(work->error, RC_ERR_BUSY, "%s", "A key does not change its own role.");
    return rc_registry_update_key(work->registry, access_key, text.len > 0 ? &role : NULL,
                                  secret.len > 0 ? &secret : NULL, work->error);
}

int rc_work_delete_key(struct rc_registry_work *work)
{
    struct rc_slice access_key = rc_work_param(work, "AccessKey");
    int err = find_key(work, access_key);
    if (err != RC_OK)
        return err;
    if (rc_slice_eq(access_key, work->call->key->access_key))
        return rc_error_set(work->error, RC_ERR_BUSY, "%s", "A key does not delete itself.");
    return rc_registry_delete_key(work->registry, access_key, work->error);
}
