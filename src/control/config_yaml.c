/*
 * Two passes over the text. The first looks at the stream of events, where nothing is built yet, and refuses
 * what a configuration does not need and what could make a small file large: aliases, deep nesting. The
 * second builds the tree.
 */
#include "control/config_yaml.h"

static struct rc_config_at error_place(const yaml_parser_t *parser, struct rc_slice yaml)
{
    if (parser->error != YAML_READER_ERROR)
        return rc_config_yaml_at(parser->problem_mark);
    /* The reader knows a byte's place only. */
    struct rc_config_at at = {.line = 1, .column = 1};
    for (size_t i = 0; i < parser->problem_offset && i < yaml.len; i++) {
        bool is_end = yaml.ptr[i] == '\n';
        at.line += is_end;
        at.column = is_end ? 1 : at.column + 1;
    }
    return at;
}

static void add_parser_error(const yaml_parser_t *parser, const char *file, struct rc_slice yaml,
                             struct rc_config_errors *errors)
{
    const char *problem = parser->problem != NULL ? parser->problem : "unknown problem";
    const char *context = parser->context != NULL ? parser->context : "";
    rc_config_errors_add(errors, file, error_place(parser, yaml), "", "this is not YAML: %s%s%s", problem,
                         *context != '\0' ? ", " : "", context);
}

static const char *node_fault(const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        return "an anchor (&name) was given; anchors and aliases are not used here, write the value out";
    if (tag != NULL)
        return "a tag (!name) was given; tags are not used here";
    return NULL;
}

struct shape {
    unsigned depth, nodes, documents;
};

/* What is wrong with this event, NULL when nothing is. */
static const char *event_fault(const yaml_event_t *event, struct shape *shape)
{
    const char *fault = NULL;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++shape->documents > 1)
            fault = "a second document (---) was given, one was expected";
        break;
    case YAML_ALIAS_EVENT:
        fault = "an alias (*name) was given; anchors and aliases are not used here, write the value out";
        break;
    case YAML_SCALAR_EVENT:
        fault = node_fault(event->data.scalar.anchor, event->data.scalar.tag);
        shape->nodes++;
        break;
    case YAML_SEQUENCE_START_EVENT:
        fault = node_fault(event->data.sequence_start.anchor, event->data.sequence_start.tag);
        shape->nodes++;
        shape->depth++;
        break;
    case YAML_MAPPING_START_EVENT:
        fault = node_fault(event->data.mapping_start.anchor, event->data.mapping_start.tag);
        shape->nodes++;
        shape->depth++;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        shape->depth--;
        break;
    default:
        break;
    }
    if (fault == NULL && shape->depth > RC_CONFIG_DEPTH_MAX)
        fault = "the nesting is too deep";
    if (fault == NULL && shape->nodes > RC_CONFIG_NODES_MAX)
        fault = "the file has too many values";
    return fault;
}

static bool check_shape(const char *file, struct rc_slice yaml, struct rc_config_errors *errors)
{
    yaml_parser_t parser;
    struct shape shape = {0};
    bool is_end = false, is_right = true;
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, yaml.ptr, yaml.len);
    while (!is_end && is_right) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            add_parser_error(&parser, file, yaml, errors);
            is_right = false;
            break;
        }
        const char *fault = event_fault(&event, &shape);
        if (fault != NULL) {
            rc_config_errors_add(errors, file, rc_config_yaml_at(event.start_mark), "", "%s", fault);
            is_right = false;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return is_right;
}

bool rc_config_yaml_load(const char *file, struct rc_slice yaml, struct rc_config_errors *errors,
                         yaml_document_t *ret_document)
{
    yaml_parser_t parser;
    if (!check_shape(file, yaml, errors) || !yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, yaml.ptr, yaml.len);
    bool is_loaded = yaml_parser_load(&parser, ret_document);
    if (!is_loaded)
        add_parser_error(&parser, file, yaml, errors);
    yaml_parser_delete(&parser);
    return is_loaded;
}
