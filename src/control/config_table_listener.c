/* The keys of a listener. */
#include "control/config_table.h"

#include "net/cidr.h"
#include "net/transport.h"

#include <string.h>

enum { PATH_MAX_BYTES = 1024, DOMAIN_MAX = 253 };

#define SECTION(name_, type_, entries_)                                                                      \
    static const struct rc_config_section name_##_section = {.name = #name_,                                 \
                                                             .size = sizeof(type_),                          \
                                                             .entries = entries_,                            \
                                                             .count =                                        \
                                                                 sizeof(entries_) / sizeof(entries_[0])}

/* ---- tls ---- */

static const char *const client_certificate_names[] = {"none", "optional", "required", "registered", NULL};
_Static_assert(RC_TLS_CLIENT_NONE == 0 && RC_TLS_CLIENT_OPTIONAL == 1 && RC_TLS_CLIENT_REQUIRED == 2,
               "as client_certificate_names has them");

static bool is_tls_version(struct rc_slice text)
{
    return rc_slice_eq_str(text, "tls1.2") || rc_slice_eq_str(text, "tls1.3");
}

static const struct rc_config_entry certificate_entries[] = {
    {.key = "certificate",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_certificate, certificate),
     .min = 1,
     .max = PATH_MAX_BYTES,
     .is_live = true,
     .doc = "A PEM file: the server's certificate first, then those that signed it, up to but without the "
            "root."},
    {.key = "key",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_certificate, key),
     .min = 1,
     .max = PATH_MAX_BYTES,
     .is_live = true,
     .doc = "A PEM file: its private key, not encrypted."},
};
SECTION(certificate, struct rc_config_certificate, certificate_entries);

static const struct rc_config_entry tls_entries[] = {
    {.key = "certificates",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_tls, certificates),
     .max = RC_TLS_CERTIFICATES_MAX,
     .section = &certificate_section,
     .is_live = true,
     .doc = "Required for the transports `tls` and `wss`, and for HTTPS. A client gets the first one that is "
            "made out to the "
            "name it asks for (SNI), or the first of all."},
    {.key = "client_ca",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_tls, client_ca),
     .max = PATH_MAX_BYTES,
     .default_text = "",
     .is_live = true,
     .doc = "A PEM file with the certificates that clients' certificates must come from."},
    {.key = "client_certificate",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_tls, client_certificate),
     .names = client_certificate_names,
     .default_text = "none",
     .is_live = true,
     .doc =
         "Whether clients are asked for a certificate. `optional`: one that is shown must be right. "
         "`required`: mutual TLS. `registered`: mutual TLS by the CAs that each instance has registered; the "
         "certificate alone is a login then."},
    {.key = "versions",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_tls, versions),
     .max = 2,
     .is_valid = is_tls_version,
     .expected = "tls1.2 or tls1.3",
     .is_live = true,
     .doc = "The versions that are spoken. Empty: both."},
    {.key = "ciphers",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_tls, ciphers),
     .max = 2048,
     .default_text = "",
     .is_live = true,
     .doc = "Ciphers of TLS 1.2, in OpenSSL's notation. Empty: OpenSSL's choice."},
    {.key = "ciphersuites",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_tls, ciphersuites),
     .max = 1024,
     .default_text = "",
     .is_live = true,
     .doc = "Cipher suites of TLS 1.3, with colons between them. Empty: OpenSSL's choice."},
    {.key = "kernel_tls",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_tls, kernel_tls),
     .default_text = "true",
     .is_live = true,
     .doc = "Let the kernel encrypt and decrypt, where it has the module `tls` loaded and knows the cipher."},
};
const struct rc_config_section rc_config_tls_section = {.name = "tls",
                                                        .size = sizeof(struct rc_config_tls),
                                                        .entries = tls_entries,
                                                        .count =
                                                            sizeof(tls_entries) / sizeof(tls_entries[0])};

/* ---- websocket ---- */

static bool is_url_path(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '?' || text.ptr[i] == '#')
            return false;
    }
    return text.len > 0 && text.len <= 256 && text.ptr[0] == '/';
}

static const struct rc_config_entry websocket_entries[] = {
    {.key = "path",
     .type = RC_CONFIG_STRING,
     .offset = 0,
     .default_text = "/mqtt",
     .is_valid = is_url_path,
     .expected = "a path that begins with /, of printable ASCII characters without ? and #",
     .is_live = true,
     .doc = "The path of the URL, for the transports `ws` and `wss`. Clients offer the subprotocol `mqtt`."},
};
static const struct rc_config_section websocket_section = {
    .name = "websocket", .size = sizeof(struct rc_config_text), .entries = websocket_entries, .count = 1};

/* ---- proxy_protocol ---- */

static const struct rc_config_entry proxy_entries[] = {
    {.key = "trusted",
     .type = RC_CONFIG_STRINGS,
     .offset = 0,
     .max = RC_TRANSPORT_TRUSTED_MAX,
     .is_valid = rc_cidr_is_valid,
     .expected = "an address, a block such as 10.0.0.0/8 or 2001:db8::/32 without bits behind its prefix, or "
                 "unix",
     .is_live = true,
     .doc =
         "Load balancers: connections from there begin with a PROXY header, version 1 or 2, and the client's "
         "address is the one that it names. Without a header, or with a malformed one, they are closed. "
         "From elsewhere no header is taken. `unix` means all peers of a Unix socket."},
};
static const struct rc_config_section proxy_section = {
    .name = "proxy_protocol", .size = sizeof(struct rc_config_list), .entries = proxy_entries, .count = 1};

/* ---- limits ---- */

#define LIMITS_OFFSET(field)                                                                                 \
    offsetof(struct rc_config_listener, limits.field) - offsetof(struct rc_config_listener, limits)

static const struct rc_config_entry limits_entries[] = {
    {.key = "connections",
     .type = RC_CONFIG_INTEGER,
     .offset = LIMITS_OFFSET(connections),
     .max = 50000000,
     .default_text = "0",
     .is_live = true,
     .doc = "At a time, on this listener; further ones are closed at once. 0: no limit but the server's."},
    {.key = "connections_per_second",
     .type = RC_CONFIG_INTEGER,
     .offset = LIMITS_OFFSET(connections_per_second),
     .max = 10000000,
     .default_text = "0",
     .is_live = true,
     .doc = "New ones; further ones wait in the kernel's queue until it is their turn. 0: no limit."},
    {.key = "handshakes",
     .type = RC_CONFIG_INTEGER,
     .offset = LIMITS_OFFSET(handshakes),
     .max = 1000000,
     .default_text = "2000",
     .is_live = true,
     .doc = "Connections whose PROXY header, TLS handshake or WebSocket upgrade is under way; above that the "
            "one that has taken longest is closed for each new one. 0: no limit."},
    {.key = "bytes_per_second",
     .type = RC_CONFIG_SIZE,
     .offset = LIMITS_OFFSET(bytes_per_second),
     .max = 4ll << 30,
     .default_text = "0",
     .is_live = true,
     .doc = "That one client may send; a faster one is read from no faster. A second's worth may come at "
            "once. 16KiB at least. 0: no limit."},
};
static const struct rc_config_section limits_section = {
    .name = "limits",
    .size = sizeof(((struct rc_config_listener *)0)->limits),
    .entries = limits_entries,
    .count = sizeof(limits_entries) / sizeof(limits_entries[0])};

/* ---- the listener ---- */

static const char *const transport_names[] = {"tcp", "tls", "ws", "wss", NULL};
_Static_assert(RC_TRANSPORT_TCP == 0 && RC_TRANSPORT_TLS == 1 && RC_TRANSPORT_WS == 2 &&
                   RC_TRANSPORT_WSS == 3,
               "as transport_names has them");
static const char *const zone_names[] = {"public", "vpc", NULL};

static bool is_domain(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '-' && c != '.' && c != '_' && c != '{' && c != '}')
            return false;
    }
    return text.len > 0 && text.len <= DOMAIN_MAX;
}

static const struct rc_config_entry listener_entries[] = {
    {.key = "name",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_listener, name),
     .max = 64,
     .default_text = "",
     .doc = "What the listener is called in the server's log; each has a name of its own. Empty: the name of "
            "its transport."},
    {.key = "transport",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_listener, transport),
     .names = transport_names,
     .default_text = "tcp",
     .doc = "`tls`: MQTT over TLS. `ws` and `wss`: MQTT over WebSocket, without and with TLS."},
    {.key = "bind",
     .type = RC_CONFIG_LISTEN,
     .offset = offsetof(struct rc_config_listener, bind),
     .default_text = "",
     .doc = "Where it listens; an IPv6 address stands in brackets, and `[::]:1883` takes IPv4 as well. "
            "`unix:/path` is a Unix socket. Port 0 takes any free port. Empty: all IPv4 addresses and the "
            "transport's port: `0.0.0.0:1883` for `tcp`, 8883 for `tls`, 8083 for `ws`, 8084 for `wss`."},
    {.key = "zone",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_listener, zone),
     .names = zone_names,
     .default_text = "public",
     .is_live = true,
     .doc = "The network it is for, as instances are told: the internet or a private network."},
    {.key = "domains",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_listener, domains),
     .max = 64,
     .is_valid = is_domain,
     .expected = "a domain name",
     .is_live = true,
     .doc = "The names under which it is reached, as instances are told (`ListInstances`); `{instance}` in "
            "one stands for "
            "the instance's ID."},
    {.key = "tls",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_listener, tls),
     .section = &rc_config_tls_section,
     .is_live = true,
     .doc =
         "For the transports `tls` and `wss`. SIGHUP reads the files again: new connections get the new "
         "certificates, those that stand are left alone. A file that cannot be read, a key that does not "
         "belong to its certificate, a certificate that has expired or is not valid yet: the server says so "
         "and does not start, or stays with what it has."},
    {.key = "websocket",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_listener, websocket),
     .section = &websocket_section,
     .is_live = true,
     .doc = "For the transports `ws` and `wss`."},
    {.key = "proxy_protocol",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_listener, proxy_protocol),
     .section = &proxy_section,
     .is_live = true,
     .doc = "For a listener behind load balancers."},
    {.key = "limits",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_listener, limits),
     .section = &limits_section,
     .is_live = true,
     .doc = "What this listener takes on."},
};

static void complete_listener(void *values)
{
    static const char *const binds[] = {"0.0.0.0:1883", "0.0.0.0:8883", "0.0.0.0:8083", "0.0.0.0:8084"};
    struct rc_config_listener *listener = values;
    if (listener->name.text == NULL || listener->bind.text == NULL)
        return; /* one of them is wrong, and was told */
    if (listener->name.text[0] == '\0')
        listener->name.text = transport_names[listener->transport];
    if (listener->bind.text[0] == '\0')
        listener->bind.text = binds[listener->transport];
}

const struct rc_config_section rc_config_listener_section = {.name = "listener",
                                                             .size = sizeof(struct rc_config_listener),
                                                             .complete = complete_listener,
                                                             .entries = listener_entries,
                                                             .count = sizeof(listener_entries) /
                                                                      sizeof(listener_entries[0])};
