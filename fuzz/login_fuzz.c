/*
 * Logins as strangers send them: user names of every form, passwords that are tokens, and what a client
 * uploads for its token. The input is parted at line ends: a client id, a user name, a password, an upload.
 * The first byte of a password says whether a right signature is put behind it, so that what lies behind that
 * is reached.
 */
#include "auth/acl.h"
#include "auth/mqtt_auth.h"
#include "auth/token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

enum { FIELDS = 4, TEXT_MAX = 4096, HMAC_LEN = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_slice next_field(struct rc_slice *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct rc_slice field = rc_slice(rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len);
    *rest = rc_slice_from(*rest, field.len + (end != NULL));
    return field;
}

static struct rc_catalog *make_catalog(struct rc_instance **ret)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_group *group;
    struct rc_slice none = {NULL, 0};
    struct rc_custom_permission permission = {rc_slice_str("t/#"), RC_ACL_READ, false};
    rc_catalog_add_instance(catalog, rc_slice_str("i"), ret);
    rc_catalog_add_key(catalog, *ret, rc_slice_str("AK"), rc_slice_str("SK"));
    rc_catalog_add_group(*ret, rc_slice_str("GID_abc"), &group);
    rc_catalog_put_credential(*ret, rc_slice_str("GID_abc@@@1"), rc_slice_str("DC.1"), rc_slice_str("S"));
    rc_catalog_put_identity(*ret, rc_slice_str("bob"), none, rc_slice_str("word"), false);
    rc_catalog_put_identity(*ret, rc_slice_str("bob"), rc_slice_str("GID_abc@@@1"), rc_slice_str("own"),
                            true);
    rc_catalog_put_permission(*ret, false, rc_slice_str("bob"), &permission);
    memset((*ret)->token_key, 7, sizeof((*ret)->token_key));
    (*ret)->has_token_key = true;
    catalog->default_instance = *ret;
    return catalog;
}

/* The bytes as a token whose signature is right, whatever they are. */
static void read_signed(const struct rc_instance *instance, struct rc_slice bytes)
{
    static struct rc_token token;
    static uint8_t whole[TEXT_MAX + HMAC_LEN];
    static char text[(TEXT_MAX + HMAC_LEN) / 3 * 4 + 8];
    unsigned int len;
    memcpy(whole, bytes.ptr, bytes.len);
    HMAC(EVP_sha256(), instance->token_key, sizeof(instance->token_key), whole, bytes.len, whole + bytes.len,
         &len);
    EVP_EncodeBlock((uint8_t *)text, whole, (int)bytes.len + HMAC_LEN);
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '\0' : *c;
    if (rc_token_read(instance, rc_slice_str(text), &token) != RC_TOKEN_VALID)
        return;
    if (token.resources_count == 0 || token.head.actions == 0)
        abort();
    for (uint32_t i = 0; i < token.resources_count; i++)
        if (!rc_acl_filter_covers(token.resources[i], token.resources[i]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_slice fields[FIELDS], rest = rc_slice(data, size < TEXT_MAX ? size : TEXT_MAX);
    struct rc_token_pair pairs[RC_TOKEN_PAIRS_MAX];
    struct rc_instance *instance;
    struct rc_auth_client client;
    uint8_t actions;
    for (int i = 0; i < FIELDS; i++)
        fields[i] = next_field(&rest);
    struct rc_catalog *catalog = make_catalog(&instance);
    struct rc_auth_login login = {.client_id = fields[0],
                                  .has_user = true,
                                  .has_password = true,
                                  .user = fields[1],
                                  .password = fields[2],
                                  .now_ms = 1700000000000};
    if (rc_auth_mqtt(catalog, &login, &client) == RC_AUTH_OK && client.group == NULL)
        abort(); /* who is let in has a group */
    rc_token_split(fields[2], pairs);
    if (fields[2].len > 0)
        read_signed(instance, fields[2]);
    free(rc_token_parse_upload(fields[3], &actions));
    rc_catalog_unref(catalog);
    return 0;
}
