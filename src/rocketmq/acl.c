/* Whether a request carries the signature of a key pair that the catalog has. */
#include "rocketmq/endpoint_private.h"

#include "auth/sign.h"

#include "base/log.h"

static bool matches(const struct rc_remoting *command, const struct rc_key_pair *pair,
                    struct rc_slice signature, bool route_quirk, const char *skip)
{
    char expected[RC_SIGNATURE_LEN + 1];
    rc_remoting_sign(command, pair->secret_key, route_quirk, skip, expected);
    return rc_secret_equal(signature, rc_slice(expected, RC_SIGNATURE_LEN));
}

const char *rc_acl_refusal(struct rc_endpoint *endpoint, const struct rc_remoting *command,
                           const struct rc_key_pair **ret_key)
{
    *ret_key = NULL;
    if (!endpoint->options.acl)
        return NULL;
    struct rc_slice access_key = rc_remoting_get(command, "AccessKey");
    struct rc_slice signature = rc_remoting_get(command, "Signature");
    if (access_key.len == 0)
        return "org.apache.rocketmq.acl.common.AclException: No accessKey is configured, the request is not "
               "signed";
    const struct rc_key_pair *pair = rc_catalog_key(endpoint->catalog, access_key);
    if (pair == NULL)
        return "org.apache.rocketmq.acl.common.AclException: No such accessKey";
    *ret_key = pair;
    if (matches(command, pair, signature, false, NULL))
        return NULL;
    /* ONS signs a byte more with 105, and clients add a field to 12 after signing. */
    if (command->code == RC_REQ_ROUTE && matches(command, pair, signature, true, NULL))
        return NULL;
    if (command->code == RC_REQ_QUERY_MESSAGE &&
        matches(command, pair, signature, false, "_UNIQUE_KEY_QUERY"))
        return NULL;
    return "org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey";
}
