/* Private to control: YAML text -> libyaml's document tree, within bounds. */
#ifndef RC_CONTROL_CONFIG_YAML_H
#define RC_CONTROL_CONFIG_YAML_H

#include "control/config.h"

#include <yaml.h>

/*
 * True with `ret_document` filled (release with yaml_document_delete). False after an error was added: text
 * that is no YAML, a second document, aliases or anchors, tags, depth over RC_CONFIG_DEPTH_MAX, more than
 * RC_CONFIG_NODES_MAX nodes.
 */
bool rc_config_yaml_load(const char *file, struct rc_slice yaml, struct rc_config_errors *errors,
                         yaml_document_t *ret_document);

static inline struct rc_config_at rc_config_yaml_at(yaml_mark_t mark)
{
    return (struct rc_config_at){.line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
}

#endif
