/* A JSON document as XML, in the way of the cloud product's answers: a list is an element that holds one
 * element of the same name for each item. */
#ifndef RC_API_XML_WRITE_H
#define RC_API_XML_WRITE_H

#include "base/buf.h"

#include <jansson.h>

enum { RC_XML_DEPTH_MAX = 32 };

/* 0, RC_ERR_FULL, or RC_ERR_TOO_LARGE when it nests too deeply. */
int rc_xml_write(struct rc_buf *out, const char *root, const json_t *value);

#endif
