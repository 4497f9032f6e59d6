#include "client/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

void rc_client_sign(char out[RC_SIGNATURE_LEN + 1], const char *secret, struct rc_slice text)
{
    static const uint8_t nothing[1];
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    HMAC(EVP_sha1(), secret, (int)strlen(secret), text.len ? text.ptr : nothing, text.len, mac, &len);
    EVP_EncodeBlock((unsigned char *)out, mac, (int)len);
}
