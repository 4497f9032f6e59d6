/* Private to control: a catalog under construction, and how what is wrong with the file is told. */
#ifndef RC_CONTROL_CONTROL_BUILDER_H
#define RC_CONTROL_CONTROL_BUILDER_H

#include "base/map.h"
#include "catalog/catalog.h"
#include "control/config.h"

struct rc_control_builder {
    const struct rc_config *config;
    struct rc_config_errors *errors;
    struct rc_catalog *catalog;
    struct rc_instance *instance;
    uint32_t index;               /* of the instance in the file */
    struct rc_map topics, groups; /* of the endpoint: struct rc_endpoint_name, of all instances */
};

/* RC_ACL_ bits of an enum rc_config_access. */
uint8_t rc_control_actions(int access);

/* Of `instances[<the builder's>]`, of its `<list>[<index>]` unless `list` is NULL. */
void rc_control_refuse(struct rc_control_builder *builder, struct rc_config_at at, const char *list,
                       uint32_t index, const char *what);
/* Refuses unless `err` is RC_OK. `what` names the thing, for the sentence. */
void rc_control_check_added(struct rc_control_builder *builder, int err, const struct rc_config_text *name,
                            const char *list, uint32_t index, const char *what);
/* The same for one that is no group of the instance's, with the one that was perhaps meant. */
void rc_control_refuse_group(struct rc_control_builder *builder, const struct rc_config_instance *instance,
                             struct rc_config_at at, const char *list, uint32_t index, struct rc_slice group);

#endif
