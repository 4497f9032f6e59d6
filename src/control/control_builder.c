#include "control/control_builder.h"

#include "base/nearest.h"

#include <stdio.h>

uint8_t rc_control_actions(int access)
{
    static const uint8_t actions[] = {
        [RC_CONFIG_READ] = RC_ACL_READ,
        [RC_CONFIG_WRITE] = RC_ACL_WRITE,
        [RC_CONFIG_READWRITE] = RC_ACL_READ | RC_ACL_WRITE,
        [RC_CONFIG_DENY] = RC_ACL_READ | RC_ACL_WRITE,
        [RC_CONFIG_DENY_READ] = RC_ACL_READ,
        [RC_CONFIG_DENY_WRITE] = RC_ACL_WRITE,
    };
    return actions[access];
}

void rc_control_refuse(struct rc_control_builder *builder, struct rc_config_at at, const char *list,
                       uint32_t index, const char *what)
{
    char path[128];
    if (list == NULL)
        snprintf(path, sizeof(path), "instances[%u]", builder->index);
    else
        snprintf(path, sizeof(path), "instances[%u].%s[%u]", builder->index, list, index);
    rc_config_errors_add(builder->errors, builder->config->file, at, path, "%s", what);
}

void rc_control_check_added(struct rc_control_builder *builder, int err, const struct rc_config_text *name,
                            const char *list, uint32_t index, const char *what)
{
    char text[256];
    if (err == RC_OK)
        return;
    if (err == RC_ERR_EXISTS)
        snprintf(text, sizeof(text), "the %s '%s' was given before, once was expected", what, name->text);
    else
        snprintf(text, sizeof(text), "the %s '%s' cannot be used: %s", what, name->text, rc_err_text(err));
    rc_control_refuse(builder, name->at, list, index, text);
}

static const char *group_name(const void *groups, size_t index)
{
    return ((const struct rc_config_text *)groups)[index].text;
}

void rc_control_refuse_group(struct rc_control_builder *builder, const struct rc_config_instance *instance,
                             struct rc_config_at at, const char *list, uint32_t index, struct rc_slice group)
{
    char text[256];
    const char *near = rc_nearest(group, group_name, instance->groups.items, instance->groups.count);
    int len =
        snprintf(text, sizeof(text), "the group '%.*s' was given, one of the instance's groups was expected",
                 RC_SLICE_FMT(group));
    if (near != NULL && len > 0 && (size_t)len < sizeof(text))
        snprintf(text + len, sizeof(text) - (size_t)len, ", perhaps '%s'", near);
    rc_control_refuse(builder, at, list, index, text);
}
