/*
 * TLS in front of MQTT, the peers' side made by the library itself over memory: handshakes of both versions,
 * of which any flight may be damaged, and records that are right, damaged, cut in two, preceded by others, or
 * no records at all.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static struct {
    SSL_CTX *context;
    SSL *peers[PEERS]; /* NULL: not dialled */
} tls;

/* A certificate for the server, of a key made now. */
static void make_certificate(const char *certificate_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 365L * 24 * 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    check(X509_sign(certificate, key, EVP_sha256()) > 0, "no certificate");
    FILE *file = fopen(certificate_path, "w");
    check(file != NULL && PEM_write_X509(file, certificate) == 1, "no certificate's file");
    fclose(file);
    file = fopen(key_path, "w");
    check(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1, "no key's file");
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static struct rc_transport *over_make(void)
{
    char certificate[96], key[96];
    snprintf(certificate, sizeof(certificate), "%s/fuzz.pem", world.dir);
    snprintf(key, sizeof(key), "%s/fuzz.key", world.dir);
    make_certificate(certificate, key);
    const struct rc_tls_pair pair = {certificate, key};
    const struct rc_tls_settings settings = {
        .pairs = &pair, .count = 1, .has_tls12 = true, .has_tls13 = true, .ciphers = "", .ciphersuites = ""};
    struct rc_transport *transport = rc_transport_create(RC_TRANSPORT_TLS, "tls");
    struct rc_tls_fault fault;
    struct rc_error error = {.text = ""};
    check(rc_tls_create(&settings, &transport->tls, &fault, &error) == RC_OK, error.text);
    tls.context = SSL_CTX_new(TLS_client_method());
    return transport;
}

/* What the library has to send, in front of the peer; one of its bytes is another when `is_damaged`. */
static void flush(int i, bool is_damaged)
{
    uint8_t bytes[BYTES_MAX];
    int len = BIO_read(SSL_get_wbio(tls.peers[i]), bytes, sizeof(bytes));
    if (len <= 0)
        return;
    if (is_damaged) {
        size_t at = (size_t)next_byte() << 8;
        bytes[(at | next_byte()) % (size_t)len] ^= (uint8_t)(1 + next_byte());
    }
    put_raw(i, rc_slice(bytes, (size_t)len));
}

/* What the server has sent, for the library to read. */
static void fetch(int i)
{
    uint8_t bytes[4096];
    for (size_t len; (len = take_raw(i, bytes, sizeof(bytes))) > 0;)
        BIO_write(SSL_get_rbio(tls.peers[i]), bytes, (int)len);
}

static void over_begin(int i)
{
    enum { ROUNDS = 6 };
    uint8_t how = next_byte();
    SSL *peer = tls.peers[i] = SSL_new(tls.context);
    SSL_set_bio(peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(peer);
    SSL_set_max_proto_version(peer, how & 1 ? TLS1_2_VERSION : TLS1_3_VERSION);
    int damaged = how >= 240 ? how % ROUNDS : -1; /* which of its flights */
    for (int round = 0; round < ROUNDS && !SSL_is_init_finished(peer); round++) {
        SSL_do_handshake(peer);
        flush(i, round == damaged);
        turn(2);
        fetch(i);
    }
    ERR_clear_error();
}

static void put_records(int i, struct rc_slice bytes, uint8_t how)
{
    uint8_t record[BYTES_MAX];
    SSL_write(tls.peers[i], bytes.ptr, (int)bytes.len);
    if (how >= 16 && how < 48) { /* in two pieces */
        int len = BIO_read(SSL_get_wbio(tls.peers[i]), record, 1 + next_byte());
        put_raw(i, rc_slice(record, len > 0 ? (size_t)len : 0));
        turn(1);
    }
    flush(i, how < 16);
    ERR_clear_error();
}

static void over_put(int i, struct rc_slice bytes)
{
    if (tls.peers[i] == NULL || bytes.len == 0)
        return;
    uint8_t how = next_byte();
    if (how < 4 || !SSL_is_init_finished(tls.peers[i])) {
        put_raw(i, bytes);
        return;
    }
    if (how >= 48 && how < 64) { /* a record that is not encrypted */
        const uint8_t head[] = {(uint8_t)(20 + next_byte() % 5), 3, 3, 0, next_byte()};
        put_raw(i, rc_slice(head, sizeof(head)));
    }
    if (how >= 64 && how < 72)
        SSL_key_update(tls.peers[i], how & 1 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
    if (how >= 72 && how < 76)
        SSL_renegotiate(tls.peers[i]);
    if (how >= 76 && how < 80)
        SSL_shutdown(tls.peers[i]);
    put_records(i, bytes, how);
}

static size_t over_take(int i, uint8_t *bytes, size_t size)
{
    if (tls.peers[i] == NULL)
        return 0;
    fetch(i);
    int len = SSL_read(tls.peers[i], bytes, (int)size);
    flush(i, false); /* the answer to a key update */
    ERR_clear_error();
    return len > 0 ? (size_t)len : 0;
}

static void over_end(int i)
{
    SSL_free(tls.peers[i]);
    tls.peers[i] = NULL;
}
