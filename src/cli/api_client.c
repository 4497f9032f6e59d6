#include "cli/api_client.h"

#include "api/api_sign.h"
#include "base/hex.h"

#include <curl/curl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { URL_MAX = 2 << 20 };

static int add(struct rc_params *params, const char *name, const char *value)
{
    return rc_params_add(params, rc_slice_str(name), rc_slice_str(value));
}

static int sign(const struct rc_cli_keys *keys, struct rc_params *params)
{
    char nonce[33] = "", now[32], signature[RC_API_SIGNATURE_MAX];
    uint8_t random[16];
    time_t seconds = time(NULL);
    struct tm utc;
    RAND_bytes(random, sizeof(random));
    rc_hex_lower(nonce, random, sizeof(random));
    gmtime_r(&seconds, &utc);
    strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
    int err = add(params, "Version", "2020-04-20");
    err = err ? err : add(params, "AccessKeyId", keys->access);
    err = err ? err : add(params, "Format", "JSON");
    err = err ? err : add(params, "SignatureMethod", "HMAC-SHA1");
    err = err ? err : add(params, "SignatureVersion", "1.0");
    err = err ? err : add(params, "SignatureNonce", nonce);
    err = err ? err : add(params, "Timestamp", now);
    rc_params_sort(params);
    if (err == RC_OK && !rc_api_sign_rpc("POST", params, rc_slice_str(keys->secret), signature))
        err = RC_ERR_TOO_LARGE;
    return err ? err : add(params, "Signature", signature);
}

static void put_form(struct rc_buf *out, const struct rc_params *params)
{
    for (uint32_t i = 0; i < params->count; i++) {
        if (i > 0)
            rc_buf_put_u8(out, '&');
        rc_percent_encode(out, rc_slice_str(params->list[i].name));
        rc_buf_put_u8(out, '=');
        rc_percent_encode(out, rc_slice_str(params->list[i].value));
    }
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    return rc_buf_put(arg, data, size * count) == RC_OK ? size * count : 0;
}

static CURLcode post(const char *url, const struct rc_buf *form, struct rc_buf *answer)
{
    const char *ca_file = getenv("ROLLCALL_CA_FILE"); /* of https://; otherwise the system's CAs */
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return CURLE_FAILED_INIT;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)rc_buf_slice(form).ptr);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)rc_buf_len(form));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)RC_API_PATIENCE_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return code;
}

/* An answer with a Code that is not success is what the server refused with. */
static int judge(const struct rc_buf *answer, json_t **ret, struct rc_error *error)
{
    json_error_t where;
    struct rc_slice text = rc_buf_slice(answer);
    json_t *value = json_loadb((const char *)text.ptr, text.len, 0, &where);
    const char *message = json_string_value(json_object_get(value, "Message"));
    const char *code = json_string_value(json_object_get(value, "Code"));
    if (value == NULL)
        return rc_error_set(error, RC_ERR_PROTOCOL, "the answer is not of a Rollcall server's OpenAPI");
    if (json_object_get(value, "HostId") != NULL) {
        int err = rc_error_set(error, RC_ERR_DENIED, "the server refused: %s (%s)", message ? message : "?",
                               code ? code : "?");
        json_decref(value);
        return err;
    }
    *ret = value;
    return RC_OK;
}

int rc_api_client_call(const char *url, const struct rc_cli_keys *keys, struct rc_params *params,
                       json_t **ret, struct rc_error *error)
{
    struct rc_buf form, answer;
    int err = sign(keys, params);
    if (err != RC_OK)
        return rc_error_set(error, err, "the call is too long");
    rc_buf_init(&form, URL_MAX);
    rc_buf_init(&answer, RC_API_ANSWER_MAX);
    put_form(&form, params);
    CURLcode code = post(url, &form, &answer);
    if (code != CURLE_OK)
        err = rc_error_set(error, RC_ERR_IO, "%s: %s (is the server running, with http.bind there?)", url,
                           curl_easy_strerror(code));
    else
        err = judge(&answer, ret, error);
    rc_buf_free(&form);
    rc_buf_free(&answer);
    return err;
}
