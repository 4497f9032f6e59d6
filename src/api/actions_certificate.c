/* Certificates of CAs and of devices. */
#include "api/registry_work.h"

static struct rc_slice sn_of(const struct rc_registry_work *work)
{
    return rc_work_param(work, "Sn");
}

static struct rc_slice ca_of(const struct rc_registry_work *work)
{
    return rc_work_param(work, "CaSn");
}

static struct rc_slice device_of(const struct rc_registry_work *work)
{
    return rc_work_param(work, "DeviceSn");
}

/* Answers that repeat the serial number that was asked about. */
static int tell(struct rc_registry_work *work, const char *field, struct rc_slice sn, int err)
{
    if (err >= 0)
        json_object_set_new(work->call->answer, field, rc_api_text(sn));
    return err;
}

/* ---- what is told of a certificate ---- */

static json_t *describe(const struct rc_registry_certificate *row)
{
    json_t *item = json_object();
    json_object_set_new(item, "Status", json_string(row->is_active ? "1" : "0"));
    json_object_set_new(item, "ValidBegin", json_sprintf("%lld", (long long)row->valid_from_ms));
    json_object_set_new(item, "ValidEnd", json_sprintf("%lld", (long long)row->valid_to_ms));
    json_object_set_new(item, "Declared", json_boolean(row->is_declared)); /* Rollcall's own */
    return item;
}

static json_t *describe_ca(const struct rc_registry_certificate *row)
{
    json_t *item = describe(row);
    json_object_set_new(item, "Sn", rc_api_text(row->sn));
    json_object_set_new(item, "CaName", rc_api_text(row->name));
    json_object_set_new(item, "CaContent", rc_api_text(row->content));
    json_object_set_new(item, "VerificationContent", rc_api_text(row->verification));
    json_object_set_new(item, "RegistrationCode", rc_api_text(row->registration_code));
    return item;
}

static json_t *describe_device(const struct rc_registry_certificate *row)
{
    json_t *item = describe(row);
    json_object_set_new(item, "CaSn", rc_api_text(row->ca_sn));
    json_object_set_new(item, "DeviceSn", rc_api_text(row->sn));
    json_object_set_new(item, "DeviceName", rc_api_text(row->name));
    json_object_set_new(item, "DeviceContent", rc_api_text(row->content));
    return item;
}

static void put_ca(const struct rc_registry_certificate *row, void *arg)
{
    json_object_set_new(((struct rc_registry_work *)arg)->call->answer, "Data", describe_ca(row));
}

static void put_device(const struct rc_registry_certificate *row, void *arg)
{
    json_object_set_new(((struct rc_registry_work *)arg)->call->answer, "Data", describe_device(row));
}

static void add_ca(const struct rc_registry_certificate *row, void *arg)
{
    if (rc_work_page_takes(arg))
        json_array_append_new(((struct rc_work_page *)arg)->list, describe_ca(row));
}

static void add_device(const struct rc_registry_certificate *row, void *arg)
{
    if (rc_work_page_takes(arg))
        json_array_append_new(((struct rc_work_page *)arg)->list, describe_device(row));
}

/* Data{<list>, PageNo, PageSize, Total} */
static int begin_list(struct rc_registry_work *work, const char *list, struct rc_work_page *page)
{
    json_t *data = json_object();
    int err = rc_work_read_page(work, "PageSize", page);
    json_object_set_new(data, list, page->list);
    json_object_set_new(data, "PageNo", json_integer(page->number));
    json_object_set_new(data, "PageSize", json_integer(page->size));
    json_object_set_new(work->call->answer, "Data", data);
    return err;
}

static int end_list(struct rc_registry_work *work, int err, uint64_t total)
{
    json_object_set_new(json_object_get(work->call->answer, "Data"), "Total",
                        json_integer((json_int_t)total));
    return err < 0 ? err : RC_OK;
}

/* ---- CAs ---- */

int rc_work_register_code(struct rc_registry_work *work)
{
    char code[RC_CATALOG_ID_MAX + 1];
    int err = rc_registry_registration_code(work->registry, work->instance, code, work->error);
    if (err >= 0)
        json_object_set_new(work->call->answer, "RegisterCode", json_string(code));
    return err;
}

int rc_work_register_ca(struct rc_registry_work *work)
{
    char sn[RC_CATALOG_SN_MAX + 1];
    int err = rc_registry_register_ca(work->registry, work->instance, rc_work_param(work, "CaName"),
                                      rc_work_param(work, "CaContent"),
                                      rc_work_param(work, "VerificationContent"), true, sn, work->error);
    return err < 0 ? err : tell(work, "Sn", rc_slice_str(sn), err);
}

int rc_work_activate_ca(struct rc_registry_work *work)
{
    return tell(work, "Sn", sn_of(work),
                rc_registry_set_ca_active(work->registry, work->instance, sn_of(work), true, work->error));
}

int rc_work_inactivate_ca(struct rc_registry_work *work)
{
    return tell(work, "Sn", sn_of(work),
                rc_registry_set_ca_active(work->registry, work->instance, sn_of(work), false, work->error));
}

int rc_work_delete_ca(struct rc_registry_work *work)
{
    return tell(work, "Sn", sn_of(work),
                rc_registry_delete_ca(work->registry, work->instance, sn_of(work), work->error));
}

int rc_work_get_ca(struct rc_registry_work *work)
{
    return rc_registry_get_ca(work->registry, work->instance, sn_of(work), put_ca, work, work->error);
}

int rc_work_list_cas(struct rc_registry_work *work)
{
    struct rc_work_page page;
    uint64_t total = 0;
    int err = begin_list(work, "CaCertificateVOS", &page);
    if (err >= 0)
        err = rc_registry_list_cas(work->registry, work->instance, &page.page, add_ca, &page, &total);
    return end_list(work, err, total);
}

/* ---- devices ---- */

static int set_device(struct rc_registry_work *work, bool is_active)
{
    return tell(work, "DeviceSn", device_of(work),
                rc_registry_set_device_active(work->registry, work->instance, ca_of(work), device_of(work),
                                              is_active, work->error));
}

int rc_work_activate_device(struct rc_registry_work *work)
{
    return set_device(work, true);
}

int rc_work_inactivate_device(struct rc_registry_work *work)
{
    return set_device(work, false);
}

int rc_work_delete_device(struct rc_registry_work *work)
{
    return tell(
        work, "DeviceSn", device_of(work),
        rc_registry_delete_device(work->registry, work->instance, ca_of(work), device_of(work), work->error));
}

int rc_work_get_device(struct rc_registry_work *work)
{
    return rc_registry_get_device(work->registry, work->instance, ca_of(work), device_of(work), put_device,
                                  work, work->error);
}

/* Of one CA where CaSn says which. */
int rc_work_list_devices(struct rc_registry_work *work)
{
    struct rc_work_page page;
    uint64_t total = 0;
    int err = begin_list(work, "DeviceCertificateVOS", &page);
    if (err >= 0)
        err = rc_registry_list_devices(work->registry, work->instance, ca_of(work), &page.page, add_device,
                                       &page, &total);
    return end_list(work, err, total);
}
