/* The OpenAPI 3 document of REST, from its tables. */
#include "api/rest.h"

#include <stdio.h>
#include <string.h>

static bool next_name(const char **at, struct rc_slice *ret)
{
    if (*at == NULL)
        return false;
    *at += strspn(*at, " ");
    *ret = rc_slice(*at, strcspn(*at, " "));
    *at += ret->len;
    return ret->len > 0;
}

static bool has_name(const char *names, struct rc_slice name)
{
    struct rc_slice one;
    while (next_name(&names, &one))
        if (rc_slice_eq(one, name))
            return true;
    return false;
}

static json_t *schema_of(const struct rc_rest_param *param)
{
    switch (param->type) {
    case RC_REST_INTEGER:
        return json_pack("{s:s,s:s,s:I,s:I}", "type", "integer", "format", "int64", "minimum",
                         (json_int_t)param->min, "maximum", (json_int_t)param->max);
    case RC_REST_FLAG:
        return json_pack("{s:s}", "type", "boolean");
    case RC_REST_TEXTS:
        return json_pack("{s:s,s:I,s:I,s:{s:s,s:i,s:i}}", "type", "array", "minItems", (json_int_t)param->min,
                         "maxItems", (json_int_t)param->max, "items", "type", "string", "minLength", 1,
                         "maxLength", 1024);
    case RC_REST_TEXT:
        break;
    }
    json_t *schema = json_pack("{s:s,s:I,s:I}", "type", "string", "minLength", (json_int_t)param->min,
                               "maxLength", (json_int_t)param->max);
    if (param->pattern != NULL) { /* all characters but - stand for themselves; that one stands last */
        char set[128], pattern[160];
        size_t len = 0;
        for (const char *c = param->pattern; *c != '\0' && len + 1 < sizeof(set); c++)
            if (*c != '-')
                set[len++] = *c;
        set[len] = '\0';
        snprintf(pattern, sizeof(pattern), "^[%s-]*$", set);
        json_object_set_new(schema, "pattern", json_string(pattern));
    }
    return schema;
}

static json_t *describe_param(struct rc_slice name, const char *where, bool is_required)
{
    const struct rc_rest_param *param = rc_rest_param(name);
    json_t *item = json_object();
    json_object_set_new(item, "name", json_stringn((const char *)name.ptr, name.len));
    json_object_set_new(item, "in", json_string(where));
    json_object_set_new(item, "required", json_boolean(is_required));
    json_object_set_new(item, "description", json_string(param->doc));
    json_object_set_new(item, "schema", schema_of(param));
    return item;
}

static json_t *describe_params(const struct rc_rest_route *route)
{
    json_t *list = json_array();
    const char *names = route->query;
    struct rc_slice name;
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at + 1, '{'))
        json_array_append_new(list, describe_param(rc_slice(at + 1, strcspn(at + 1, "}")), "path", true));
    while (next_name(&names, &name))
        json_array_append_new(list, describe_param(name, "query", has_name(route->needs, name)));
    return list;
}

static json_t *describe_body(const struct rc_rest_route *route)
{
    json_t *properties = json_object(), *required = json_array();
    const char *names = route->body;
    struct rc_slice name;
    while (next_name(&names, &name)) {
        const struct rc_rest_param *param = rc_rest_param(name);
        json_t *schema = schema_of(param);
        json_object_set_new(schema, "description", json_string(param->doc));
        json_object_set_new(properties, param->name, schema);
        if (has_name(route->needs, name))
            json_array_append_new(required, json_string(param->name));
    }
    bool is_required = json_array_size(required) > 0;
    json_t *schema =
        json_pack("{s:s,s:o,s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
    if (is_required)
        json_object_set(schema, "required", required);
    json_decref(required);
    return json_pack("{s:b,s:{s:{s:o}}}", "required", is_required, "content", "application/json", "schema",
                     schema);
}

static json_t *json_content(json_t *schema)
{
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static json_t *describe_answers(const struct rc_rest_route *route)
{
    static const struct {
        const char *status, *text;
    } errors[] = {{"400", "A parameter is missing or wrong"},
                  {"401", "No key, or a wrong one"},
                  {"403", "The key may not do this"},
                  {"404", "There is no such thing"},
                  {"409", "It is there already, or in use"},
                  {"413", "Too large"},
                  {"429", "Too often"},
                  {"500", "The server could not do it"}};
    char text[2048];
    snprintf(text, sizeof(text),
             "{\"type\":\"object\",\"required\":[\"RequestId\"],\"properties\":{"
             "\"RequestId\":{\"type\":\"string\"}%s%s}}",
             route->answer != NULL ? "," : "", route->answer != NULL ? route->answer : "");
    json_t *answers = json_object();
    json_object_set_new(
        answers, "200",
        json_pack("{s:s,s:o}", "description", "Done", "content", json_content(json_loads(text, 0, NULL))));
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        json_object_set_new(
            answers, errors[i].status,
            json_pack("{s:s,s:o}", "description", errors[i].text, "content",
                      json_content(json_pack("{s:s}", "$ref", "#/components/schemas/Error"))));
    return answers;
}

/* Those without a key: text, and one document. */
static json_t *describe_open_answers(const struct rc_rest_route *route)
{
    bool is_json = strcmp(route->path, "/openapi.json") == 0;
    json_t *answers = json_object();
    json_t *content = json_pack("{s:{s:{s:s}}}", is_json ? "application/json" : "text/plain", "schema",
                                "type", is_json ? "object" : "string");
    json_object_set_new(answers, "200", json_pack("{s:s,s:O}", "description", "Done", "content", content));
    if (strcmp(route->path, "/readyz") == 0)
        json_object_set_new(answers, "503",
                            json_pack("{s:s,s:O}", "description", "Not ready", "content", content));
    json_decref(content);
    return answers;
}

/* Generators of clients make a function's name of it, so no two calls have the same: where an action has two
 * paths, one goes by another name. */
static json_t *name_call(const struct rc_rest_route *route)
{
    static const struct {
        const char *action;
        bool has_body;
        const char *name;
    } seconds[] = {{"DescribeClients", false, "DescribeClient"}, {"TestRule", true, "TestCluster"}};
    for (size_t i = 0; route->action != NULL && i < sizeof(seconds) / sizeof(seconds[0]); i++)
        if (strcmp(route->action, seconds[i].action) == 0 && (route->body != NULL) == seconds[i].has_body)
            return json_string(seconds[i].name);
    if (route->action != NULL)
        return json_string(route->action);
    char id[96];
    size_t len = 0;
    for (const char *c = route->path; *c != '\0' && len < sizeof(id); c++)
        if (*c != '/' && *c != '.')
            id[len++] = *c;
    return json_stringn(id, len);
}

static json_t *describe_route(const struct rc_rest_route *route)
{
    json_t *operation = json_object();
    json_object_set_new(operation, "operationId", name_call(route));
    json_object_set_new(operation, "summary", json_string(route->summary));
    if (route->action == NULL) {
        json_object_set_new(operation, "security", json_array());
        json_object_set_new(operation, "responses", describe_open_answers(route));
        return operation;
    }
    json_object_set_new(operation, "parameters", describe_params(route));
    if (route->body != NULL)
        json_object_set_new(operation, "requestBody", describe_body(route));
    json_object_set_new(operation, "responses", describe_answers(route));
    return operation;
}

static json_t *describe_components(void)
{
    static const char text[] =
        "{\"securitySchemes\":{\"key\":{\"type\":\"http\",\"scheme\":\"basic\","
        "\"description\":\"A key pair: access key and secret key\"}},\"schemas\":{"
        "\"Error\":{\"type\":\"object\",\"required\":[\"Code\",\"Message\"],\"properties\":{"
        "\"Code\":{\"type\":\"string\"},\"Message\":{\"type\":\"string\"},"
        "\"RequestId\":{\"type\":\"string\"}}},"
        "\"Client\":{\"type\":\"object\",\"required\":[\"ClientId\"],\"properties\":{"
        "\"ClientId\":{\"type\":\"string\"},\"OnlineStatus\":{\"type\":\"boolean\"},"
        "\"ChannelId\":{\"type\":\"string\"},\"Since\":{\"type\":\"integer\"},"
        "\"LastActive\":{\"type\":\"integer\"},\"ClientIp\":{\"type\":\"string\"},"
        "\"Protocol\":{\"type\":\"string\"}}}}}";
    return json_loads(text, 0, NULL);
}

json_t *rc_rest_document(void)
{
    size_t count;
    const struct rc_rest_route *routes = rc_rest_routes(&count);
    json_t *paths = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *path = json_object_get(paths, routes[i].path);
        if (path == NULL) {
            path = json_object();
            json_object_set_new(paths, routes[i].path, path);
        }
        json_object_set_new(path, rc_rest_method_name(routes[i].method), describe_route(&routes[i]));
    }
    json_t *security = json_pack("[{s:[]}]", "key");
    return json_pack(
        "{s:s,s:{s:s,s:s,s:s},s:o,s:o,s:o}", "openapi", "3.0.3", "info", "title", "Rollcall", "version",
        RC_VERSION, "description",
        "REST calls of a Rollcall server. The cloud product's OpenAPI is served at / beside them.",
        "security", security, "paths", paths, "components", describe_components());
}
