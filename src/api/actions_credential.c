/* Device credentials: one secret for each client. */
#include "api/registry_work.h"

static void put_credential(const struct rc_registry_credential *row, void *arg)
{
    const struct rc_registry_work *work = arg;
    json_t *item = json_object();
    json_object_set_new(item, "ClientId", rc_api_text(row->client_id));
    json_object_set_new(item, "InstanceId", rc_api_text(work->instance));
    json_object_set_new(item, "DeviceAccessKeyId", rc_api_text(row->access_key));
    json_object_set_new(item, "DeviceAccessKeySecret", rc_api_text(row->secret));
    json_object_set_new(item, "CreateTime", json_integer(row->created_ms));
    json_object_set_new(item, "UpdateTime", json_integer(row->updated_ms));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    json_object_set_new(work->call->answer, "DeviceCredential", item);
}

int rc_work_register_credential(struct rc_registry_work *work)
{
    return rc_registry_register_credential(work->registry, work->instance, rc_work_param(work, "ClientId"),
                                           put_credential, work, work->error);
}

int rc_work_refresh_credential(struct rc_registry_work *work)
{
    return rc_registry_refresh_credential(work->registry, work->instance, rc_work_param(work, "ClientId"),
                                          put_credential, work, work->error);
}

int rc_work_get_credential(struct rc_registry_work *work)
{
    return rc_registry_get_credential(work->registry, work->instance, rc_work_param(work, "ClientId"),
                                      put_credential, work, work->error);
}

int rc_work_unregister_credential(struct rc_registry_work *work)
{
    return rc_registry_unregister_credential(work->registry, work->instance, rc_work_param(work, "ClientId"),
                                             work->error);
}

static void put_client(const struct rc_registry_credential *row, void *arg)
{
    struct rc_slice none = {NULL, 0};
    if (!rc_work_page_takes(arg))
        return;
    json_array_append_new(((struct rc_work_page *)arg)->list, rc_api_text(row->client_id));
    rc_work_note_last(arg, row->client_id, none, none);
}

/* All of these numbers are texts in the product's answer. */
int rc_work_list_credentials(struct rc_registry_work *work)
{
    struct rc_work_page page;
    uint64_t total = 0;
    json_t *data = json_object();
    int err = rc_work_read_page(work, "PageSize", &page);
    json_object_set_new(data, "ClientIdList", page.list);
    json_object_set_new(work->call->answer, "DeviceCredentialClientIdList", data);
    if (err < 0)
        return err;
    err = rc_registry_list_credentials(work->registry, work->instance, rc_work_param(work, "GroupId"),
                                       &page.page, put_client, &page, &total);
    json_object_set_new(data, "NextToken", rc_work_next_token(&page));
    json_object_set_new(data, "PageNo", json_sprintf("%u", page.number));
    json_object_set_new(data, "PageSize", json_sprintf("%u", page.size));
    json_object_set_new(data, "Total", json_sprintf("%llu", (unsigned long long)total));
    return err < 0 ? err : RC_OK;
}
