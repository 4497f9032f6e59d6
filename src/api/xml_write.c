#include "api/xml_write.h"

#include "base/error.h"

#include <string.h>

/* How many bytes at the front are what XML 1.0 cannot hold: a control character, U+FFFE or U+FFFF. */
static size_t unfit_len(const char *text)
{
    unsigned char c = (unsigned char)*text;
    if (c < 0x20)
        return c != '\t' && c != '\n' && c != '\r';
    return strncmp(text, "\xef\xbf\xbe", 3) == 0 || strncmp(text, "\xef\xbf\xbf", 3) == 0 ? 3 : 0;
}

/* What does not fit becomes U+FFFD. A carriage return as it is would be read as a newline. */
static void put_text(struct rc_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        size_t unfit = unfit_len(text);
        if (unfit > 0) {
            rc_buf_put_str(out, "\xef\xbf\xbd");
            text += unfit - 1;
        } else if (*text == '<') {
            rc_buf_put_str(out, "&lt;");
        } else if (*text == '>') {
            rc_buf_put_str(out, "&gt;");
        } else if (*text == '&') {
            rc_buf_put_str(out, "&amp;");
        } else if (*text == '"') {
            rc_buf_put_str(out, "&quot;");
        } else if (*text == '\r') {
            rc_buf_put_str(out, "&#13;");
        } else {
            rc_buf_put_u8(out, (uint8_t)*text);
        }
    }
}

static int put_element(struct rc_buf *out, const char *name, const json_t *value, int depth);

static int put_content(struct rc_buf *out, const char *name, const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    size_t index;
    int err = RC_OK;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        json_object_foreach((json_t *)(uintptr_t)value, key, item) if (err == RC_OK) err =
            put_element(out, key, item, depth);
        return err;
    case JSON_ARRAY:
        json_array_foreach(value, index, item) if (err == RC_OK) err = put_element(out, name, item, depth);
        return err;
    case JSON_STRING:
        put_text(out, json_string_value(value));
        return RC_OK;
    case JSON_INTEGER:
        return rc_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
        return rc_buf_printf(out, "%.17g", json_real_value(value));
    case JSON_TRUE:
        return rc_buf_put_str(out, "true");
    case JSON_FALSE:
        return rc_buf_put_str(out, "false");
    case JSON_NULL:
        break;
    }
    return RC_OK;
}

static int put_element(struct rc_buf *out, const char *name, const json_t *value, int depth)
{
    if (depth == RC_XML_DEPTH_MAX)
        return RC_ERR_TOO_LARGE;
    rc_buf_printf(out, "<%s>", name);
    int err = put_content(out, name, value, depth + 1);
    return err == RC_OK ? rc_buf_printf(out, "</%s>", name) : err;
}

int rc_xml_write(struct rc_buf *out, const char *root, const json_t *value)
{
    rc_buf_put_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    return put_element(out, root, value, 0);
}
