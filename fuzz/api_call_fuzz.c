/* What strangers send to the API: forms and the Authorization field, signed as far as it goes. */
#include "api/api_sign.h"
#include "base/error.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *header(void *arg, const char *name)
{
    return name[0] == 'x' ? NULL : arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_slice input = rc_slice(data, size);
    struct rc_params params;
    struct rc_acs3 acs3;
    char signature[RC_API_SIGNATURE_MAX];
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    rc_params_init(&params);
    rc_params_add_form(&params, input);
    rc_params_sort(&params);
    rc_params_get_nth(&params, "Tag", 1);
    rc_params_get_field(&params, "Tag", 1, "Key");
    rc_api_sign_rpc("GET", &params, rc_slice_str("SK"), signature);
    if (rc_acs3_parse(text, &acs3) == RC_OK) {
        struct rc_acs3_request request = {
            .method = "GET", .path = input, .query = &params, .header = header, .arg = text};
        rc_api_sign_acs3(&request, acs3.signed_headers, rc_slice_str("SK"), signature);
    }
    rc_params_free(&params);
    free(text);
    return 0;
}
