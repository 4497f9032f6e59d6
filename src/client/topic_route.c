#include "client/topic_route.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdlib.h>

/* Old name servers write {0:"..."}: the number is quoted before parsing. */
json_t *rc_topic_route_json(struct rc_slice body)
{
    char *text = rc_malloc(2 * body.len + 1);
    size_t len = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.len; i++) {
        uint8_t c = body.ptr[i];
        bool is_key = !in_string && isdigit(c) && i > 0 &&
                      (body.ptr[i - 1] == '{' || body.ptr[i - 1] == ',') && i + 1 < body.len &&
                      body.ptr[i + 1] == ':';
        if (c == '"' && (i == 0 || body.ptr[i - 1] != '\\'))
            in_string = !in_string;
        if (is_key) {
            text[len++] = '"';
            text[len++] = (char)c;
            text[len++] = '"';
        } else {
            text[len++] = (char)c;
        }
        if (len + 3 > 2 * body.len)
            break;
    }
    json_t *root = json_loadb(text, len, 0, NULL);
    free(text);
    return root;
}
