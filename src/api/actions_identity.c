/* Custom identities, what they may use, and clients that may not connect. */
#include "api/registry_work.h"

#include <strings.h>

/* IdentityType: 0 for USER, 1 for CLIENT, -1 for none, -2 for something else. */
static int type_of(const struct rc_registry_work *work)
{
    struct rc_slice type = rc_work_param(work, "IdentityType");
    if (type.len == 0)
        return -1;
    return rc_slice_eq_str(type, "USER") ? 0 : rc_slice_eq_str(type, "CLIENT") ? 1 : -2;
}

static int refuse_type(struct rc_registry_work *work)
{
    return rc_work_refuse(work, "IdentityType is USER or CLIENT.");
}

static int done(struct rc_registry_work *work, int err)
{
    if (err >= 0)
        rc_api_call_put_success(work->call);
    return err;
}

/* ---- Data{NextToken, Results} ---- */

static int begin_list(struct rc_registry_work *work, struct rc_work_page *page)
{
    json_t *data = json_object();
    int err = rc_work_read_page(work, "Size", page);
    json_object_set_new(data, "Results", page->list);
    json_object_set_new(work->call->answer, "Data", data);
    return err;
}

static int end_list(struct rc_registry_work *work, const struct rc_work_page *page, int err)
{
    json_t *data = json_object_get(work->call->answer, "Data");
    json_object_set_new(data, "NextToken", rc_work_next_token(page));
    return done(work, err);
}

static struct rc_slice type_key(bool is_client)
{
    return rc_slice_str(is_client ? "1" : "0");
}

/* ---- identities ---- */

typedef int identity_fn(struct rc_registry *registry, struct rc_slice instance,
                        const struct rc_registry_identity *identity, struct rc_error *error);

static int with_identity(struct rc_registry_work *work, identity_fn *fn, bool has_secret)
{
    struct rc_slice mode = rc_work_param(work, "SignMode");
    int type = type_of(work);
    struct rc_registry_identity identity = {.is_client = type == 1,
                                            .username = rc_work_param(work, "Username"),
                                            .client_id = rc_work_param(work, "ClientId"),
                                            .secret = rc_work_param(work, "Secret"),
                                            .is_signed = rc_slice_eq_str(mode, "SIGNED")};
    if (type < 0)
        return refuse_type(work);
    if (identity.is_client && identity.client_id.len == 0)
        return rc_work_refuse(work, "ClientId is missing: IdentityType is CLIENT.");
    if (!identity.is_client)
        identity.client_id = rc_slice("", 0);
    if (has_secret && !identity.is_signed && !rc_slice_eq_str(mode, "ORIGIN"))
        return rc_work_refuse(work, "SignMode is ORIGIN or SIGNED.");
    return done(work, fn(work->registry, work->instance, &identity, work->error));
}

int rc_work_add_identity(struct rc_registry_work *work)
{
    return with_identity(work, rc_registry_add_identity, true);
}

int rc_work_update_identity(struct rc_registry_work *work)
{
    return with_identity(work, rc_registry_update_identity, true);
}

int rc_work_delete_identity(struct rc_registry_work *work)
{
    return with_identity(work, rc_registry_delete_identity, false);
}

static void put_identity(const struct rc_registry_identity *row, void *arg)
{
    if (!rc_work_page_takes(arg))
        return;
    json_t *item = json_object();
    json_object_set_new(item, "IdentityType", json_string(row->is_client ? "CLIENT" : "USER"));
    json_object_set_new(item, "Username", rc_api_text(row->username));
    json_object_set_new(item, "ClientId", rc_api_text(row->client_id));
    json_object_set_new(item, "Secret", rc_api_text(row->secret)); /* as the product returns it */
    json_object_set_new(item, "SignMode", json_string(row->is_signed ? "SIGNED" : "ORIGIN"));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    json_array_append_new(((struct rc_work_page *)arg)->list, item);
    rc_work_note_last(arg, type_key(row->is_client), row->username, row->client_id);
}

int rc_work_query_identities(struct rc_registry_work *work)
{
    struct rc_work_page page;
    struct rc_registry_identity like = {.username = rc_work_param(work, "Username"),
                                        .client_id = rc_work_param(work, "ClientId")};
    int type = type_of(work), err = begin_list(work, &page);
    if (err < 0 || type < -1)
        return err < 0 ? err : refuse_type(work);
    err = rc_registry_list_identities(work->registry, work->instance, type, &like, &page.page, put_identity,
                                      &page, NULL);
    return end_list(work, &page, err);
}

/* ---- permissions ---- */

static const struct {
    const char *text;
    uint8_t actions;
} permits[] = {{"PUB", RC_ACL_WRITE},
               {"SUB", RC_ACL_READ},
               {"PUB_SUB", RC_ACL_READ | RC_ACL_WRITE},
               {"PUB,SUB", RC_ACL_READ | RC_ACL_WRITE},
               {"ALL", RC_ACL_READ | RC_ACL_WRITE}};

static uint8_t actions_of(struct rc_slice text)
{
    for (size_t i = 0; i < sizeof(permits) / sizeof(permits[0]); i++)
        if (text.len == strlen(permits[i].text) &&
            strncasecmp((const char *)text.ptr, permits[i].text, text.len) == 0)
            return permits[i].actions;
    return 0;
}

typedef int permission_fn(struct rc_registry *registry, struct rc_slice instance,
                          const struct rc_registry_permission *permission, struct rc_error *error);

static int with_permission(struct rc_registry_work *work, permission_fn *fn, bool is_whole)
{
    struct rc_slice effect = rc_work_param(work, "Effect");
    int type = type_of(work);
    struct rc_registry_permission permission = {.is_client = type == 1,
                                                .identity = rc_work_param(work, "Identity"),
                                                .topic = rc_work_param(work, "Topic"),
                                                .actions = actions_of(rc_work_param(work, "PermitAction")),
                                                .denies = rc_slice_eq_str(effect, "DENY")};
    if (type < 0)
        return refuse_type(work);
    if (is_whole && permission.actions == 0)
        return rc_work_refuse(work, "PermitAction is PUB, SUB or PUB_SUB.");
    if (is_whole && !permission.denies && !rc_slice_eq_str(effect, "ALLOW"))
        return rc_work_refuse(work, "Effect is ALLOW or DENY.");
    return done(work, fn(work->registry, work->instance, &permission, work->error));
}

int rc_work_add_permission(struct rc_registry_work *work)
{
    return with_permission(work, rc_registry_add_permission, true);
}

int rc_work_update_permission(struct rc_registry_work *work)
{
    return with_permission(work, rc_registry_update_permission, true);
}

int rc_work_delete_permission(struct rc_registry_work *work)
{
    return with_permission(work, rc_registry_delete_permission, false);
}

static void put_permission(const struct rc_registry_permission *row, void *arg)
{
    if (!rc_work_page_takes(arg))
        return;
    json_t *item = json_object();
    const char *permit = row->actions == RC_ACL_WRITE  ? "PUB"
                         : row->actions == RC_ACL_READ ? "SUB"
                                                       : "PUB_SUB";
    json_object_set_new(item, "IdentityType", json_string(row->is_client ? "CLIENT" : "USER"));
    json_object_set_new(item, "Identity", rc_api_text(row->identity));
    json_object_set_new(item, "Topic", rc_api_text(row->topic));
    json_object_set_new(item, "PermitAction", json_string(permit));
    json_object_set_new(item, "Effect", json_string(row->denies ? "DENY" : "ALLOW"));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    json_array_append_new(((struct rc_work_page *)arg)->list, item);
    rc_work_note_last(arg, type_key(row->is_client), row->identity, row->topic);
}

int rc_work_query_permissions(struct rc_registry_work *work)
{
    struct rc_work_page page;
    struct rc_registry_permission like = {.identity = rc_work_param(work, "Identity"),
                                          .topic = rc_work_param(work, "Topic")};
    int type = type_of(work), err = begin_list(work, &page);
    if (err < 0 || type < -1)
        return err < 0 ? err : refuse_type(work);
    err = rc_registry_list_permissions(work->registry, work->instance, type, &like, &page.page,
                                       put_permission, &page, NULL);
    return end_list(work, &page, err);
}

/* ---- the blacklist ---- */

int rc_work_add_black(struct rc_registry_work *work)
{
    return done(work, rc_registry_add_black(work->registry, work->instance, rc_work_param(work, "ClientId"),
                                            work->error));
}

int rc_work_delete_black(struct rc_registry_work *work)
{
    return done(work, rc_registry_delete_black(work->registry, work->instance,
                                               rc_work_param(work, "ClientId"), work->error));
}

static void put_black(const struct rc_registry_name *row, void *arg)
{
    if (!rc_work_page_takes(arg))
        return;
    struct rc_slice none = {NULL, 0};
    json_t *item = json_object();
    json_object_set_new(item, "ClientId", rc_api_text(row->id));
    json_object_set_new(item, "PermitAction", json_string("CONNECT"));
    json_object_set_new(item, "Effect", json_string("DENY"));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    json_array_append_new(((struct rc_work_page *)arg)->list, item);
    rc_work_note_last(arg, row->id, none, none);
}

int rc_work_query_black(struct rc_registry_work *work)
{
    struct rc_work_page page;
    int err = begin_list(work, &page);
    if (err < 0)
        return err;
    err = rc_registry_list_black(work->registry, work->instance, rc_work_param(work, "ClientId"), &page.page,
                                 put_black, &page, NULL);
    return end_list(work, &page, err);
}
