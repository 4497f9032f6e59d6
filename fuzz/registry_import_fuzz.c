/*
 * A registry's export as it is read: any text is refused, with a sentence and its line, or is taken whole.
 * Nothing of it is ever kept: the last step is refused, so one registry serves all inputs.
 */
#include "base/log.h"
#include "registry/transfer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *arg, const struct rc_transfer_name *name, struct rc_error *error)
{
    if (name->name.len == 0 || name->name.len > 255 || name->instance.len > RC_CATALOG_ID_MAX)
        abort();
    return RC_OK;
}

static int keep(void *arg, struct rc_error *error)
{
    *(bool *)arg = true;
    return rc_error_set(error, RC_ERR_BUSY, "it was right");
}

static struct rc_registry *open_registry(void)
{
    static char dir[] = "/tmp/rc_registry_import_XXXXXX";
    char path[sizeof(dir) + 16];
    struct rc_registry *registry;
    struct rc_error error = {0};
    if (mkdtemp(dir) == NULL)
        abort();
    snprintf(path, sizeof(path), "%s/registry.db", dir);
    const struct rc_registry_options options = {
        .path = path, .key_text = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"};
    if (rc_registry_open(&options, &registry, &error) != RC_OK)
        abort();
    return registry;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rc_registry *registry;
    bool is_right = false;
    struct rc_error error = {0};
    const struct rc_transfer_names names = {.arg = &is_right, .take = take, .keep = keep};
    if (size == 0)
        return 0;
    if (registry == NULL) {
        rc_log_set_level(-1);
        registry = open_registry();
    }
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
    if (in == NULL || rc_registry_import(registry, NULL, &names, in, &error) >= 0)
        abort();
    if (error.text[0] == '\0' || is_right != (error.code == RC_ERR_BUSY))
        abort();
    fclose(in);
    return 0;
}
