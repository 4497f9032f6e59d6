/*
 * The whole endpoint, over a socket: the input is a script of requests, each a code, fields with values of
 * the script's or from a table of likely ones, and a body; or of bytes as they are. After each script the
 * endpoint must still answer another client.
 */
#include "base/error.h"
#include "base/log.h"
#include "net/listener.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/owners.h"
#include "rocketmq/remoting.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 64, INPUTS_A_LIFE = 500, ANSWER_MS = 5000 };

static struct {
    char dir[64];
    struct rc_store *store;
    struct rc_log_writer *writer;
    struct rc_owners *owners;
    struct rc_endpoint *endpoint;
    uint16_t port;
    int good; /* a client that asks something right after each script */
    int inputs;
} world;

static void check(bool is_right, const char *what)
{
    if (is_right)
        return;
    fprintf(stderr, "must never be: %s\n", what);
    abort();
}

/* ---- the server ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    return remove(path);
}

static void start_endpoint(struct rc_error *error)
{
    struct rc_endpoint_options options;
    struct rc_address address;
    int fd;
    rc_endpoint_options_default(&options);
    options.store = world.store;
    options.writer = world.writer;
    options.catalog = rc_catalog_create();
    check(rc_owners_open(rc_store_own_dir(world.store), &world.owners, error) == RC_OK, "owners");
    options.owners = world.owners;
    options.store_host = (struct rc_host){.addr = {127, 0, 0, 1}, .port = 9876};
    options.acl = false;
    options.auto_create_topics = true;
    check(rc_address_parse("127.0.0.1:0", &address, error) == RC_OK, "address");
    check(rc_listen_open(&address, &fd, 1, error) == RC_OK, "listen");
    world.port = rc_address_port(&address);
    check(rc_endpoint_start(&options, &fd, 1, &world.endpoint, error) == RC_OK, "endpoint");
    rc_catalog_unref(options.catalog);
}

/* Each time from another address of 127/8: of one alone, the ports of connections just ended run out. */
static int dial(void)
{
    static uint32_t count;
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(world.port)};
    from.sin_addr.s_addr = htonl(0x7f010001u + count++ % 65000);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0, "bind");
    check(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
    return fd;
}

static void start_life(void)
{
    struct rc_store_options options;
    struct rc_error error = {.text = ""};
    struct rc_topic *topic;
    rc_log_set_level(RC_LOG_ERROR);
    snprintf(world.dir, sizeof(world.dir), "/tmp/rc-endpoint-fuzz-XXXXXX");
    check(mkdtemp(world.dir) != NULL, "directory");
    rc_store_options_default(&options);
    options.dir = world.dir;
    options.segment_bytes = 256 * 1024;
    options.queue_file_entries = 1000;
    options.quota_bytes = 16 * 1024 * 1024;
    check(rc_store_open(&options, &world.store, &error) == RC_OK, error.text);
    check(rc_store_create_topic(world.store, rc_slice_str("topic"), 4, RC_PERM_READ_WRITE, &topic, &error) ==
              RC_OK,
          error.text);
    check(rc_log_writer_start(world.store, NULL, &world.writer, &error) == RC_OK, error.text);
    start_endpoint(&error);
    world.good = dial();
}

static void end_life(void)
{
    if (world.endpoint == NULL)
        return;
    close(world.good);
    rc_endpoint_stop(world.endpoint);
    rc_log_writer_stop(world.writer);
    rc_endpoint_free(world.endpoint);
    rc_owners_close(world.owners);
    rc_store_close(world.store);
    nftw(world.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    world.endpoint = NULL;
}

/* ---- the script ---- */

static struct rc_slice input;

static uint8_t next_byte(void)
{
    if (input.len == 0)
        return 0;
    uint8_t byte = *input.ptr;
    input = rc_slice_from(input, 1);
    return byte;
}

static struct rc_slice next_bytes(size_t len)
{
    len = len < input.len ? len : input.len;
    struct rc_slice bytes = rc_slice(input.ptr, len);
    input = rc_slice_from(input, len);
    return bytes;
}

static const int32_t codes[] = {10, 11, 12, 14, 15, 29, 30,  31,  32,  33,  34,
                                35, 36, 38, 41, 42, 46, 105, 106, 310, 320, 361};
static const char *const names[] = {"topic",
                                    "queueId",
                                    "consumerGroup",
                                    "queueOffset",
                                    "maxMsgNums",
                                    "sysFlag",
                                    "commitOffset",
                                    "subscription",
                                    "subVersion",
                                    "timestamp",
                                    "offset",
                                    "group",
                                    "delayLevel",
                                    "key",
                                    "maxNum",
                                    "beginTimestamp",
                                    "endTimestamp",
                                    "clientID",
                                    "expressionType",
                                    "properties",
                                    "defaultTopic",
                                    "a",
                                    "b",
                                    "c",
                                    "d",
                                    "e",
                                    "f",
                                    "g",
                                    "h",
                                    "i",
                                    "j",
                                    "l",
                                    "m",
                                    "AccessKey",
                                    "Signature",
                                    "suspendTimeoutMillis",
                                    "maxReconsumeTimes",
                                    "reconsumeTimes",
                                    "_UNIQUE_KEY_QUERY",
                                    "setZeroIfNotFound"};
static const char *const values[] = {"topic",
                                     "group",
                                     "0",
                                     "1",
                                     "-1",
                                     "4",
                                     "6",
                                     "TBW102",
                                     "%RETRY%group",
                                     "TAG",
                                     "*",
                                     "a || b",
                                     "true",
                                     "key",
                                     "9223372036854775807",
                                     "SCHEDULE_TOPIC_XXXX",
                                     "TAGS\1a\2KEYS\1key\2",
                                     "DELAY\0011\2",
                                     "%DLQ%group",
                                     "32",
                                     "false",
                                     ""};
static const char *const bodies[] = {
    "body",
    "{\"clientID\":\"one\",\"consumerDataSet\":[{\"groupName\":\"group\",\"messageModel\":\"CLUSTERING\","
    "\"subscriptionDataSet\":[{\"topic\":\"topic\",\"subString\":\"a || b\",\"subVersion\":1}]}]}",
    "{\"clientId\":\"one\",\"consumerGroup\":\"group\",\"mqSet\":[{\"brokerName\":\"rollcall\",\"queueId\":0,"
    "\"topic\":\"topic\"}]}"};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct rc_slice pick(const char *const *table, size_t count, uint8_t own_len)
{
    if (own_len < 128)
        return next_bytes(own_len);
    return rc_slice_str(table[(own_len - 128u) % count]);
}

static void put_request(struct rc_buf *out)
{
    struct rc_remoting request;
    uint8_t kind = next_byte();
    rc_remoting_request(&request, codes[next_byte() % COUNT(codes)], 1);
    request.serialization = kind & 1;
    request.flag = kind & 2 ? RC_REMOTING_ONEWAY : kind & 4 ? next_byte() : 0;
    for (int fields = next_byte() % 16; fields > 0; fields--) {
        const char *name = names[next_byte() % COUNT(names)];
        rc_remoting_add(&request, name, pick(values, COUNT(values), next_byte()));
    }
    request.body = pick(bodies, COUNT(bodies), next_byte());
    rc_remoting_put(out, &request);
}

static void write_all(int fd, struct rc_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return; /* closed, as it may be after nonsense */
        bytes = rc_slice_from(bytes, (size_t)sent);
    }
}

static void play(int fd)
{
    struct rc_buf out;
    rc_buf_init(&out, RC_REMOTING_FRAME_MAX);
    for (int step = 0; step < STEPS_MAX && input.len > 0; step++) {
        if (next_byte() == 255)
            rc_buf_put_slice(&out, next_bytes(next_byte()));
        else
            put_request(&out);
    }
    write_all(fd, rc_buf_slice(&out));
    rc_buf_free(&out);
}

/* The fuzzer's own alarm interrupts poll(). Times out, false, only when the endpoint is stuck. */
static bool is_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&wait, 1, ANSWER_MS);
    while (ready < 0 && errno == EINTR);
    return ready == 1;
}

/* Reads until the endpoint has seen the end of what it was sent, and closes. Its answers must be frames. */
static void drain(int fd)
{
    struct rc_buf buf;
    struct rc_remoting answer;
    bool is_over = false;
    rc_buf_init(&buf, 64 * 1024 * 1024);
    shutdown(fd, SHUT_WR);
    while (!is_over) {
        check(is_readable(fd), "a connection that is not closed");
        ssize_t len = recv(fd, rc_buf_reserve(&buf, 65536), 65536, 0);
        is_over = len == 0 || (len < 0 && errno != EINTR);
        rc_buf_commit(&buf, len > 0 ? (size_t)len : 0);
        for (int64_t size; (size = rc_remoting_decode(rc_buf_slice(&buf), &answer)) != 0;) {
            check(size > 0, "an answer that is no frame");
            rc_remoting_done(&answer);
            rc_buf_consume(&buf, (size_t)size);
        }
    }
    rc_buf_free(&buf);
}

/* Another client still gets its answer, whole and its own. */
static void ask_good(void)
{
    struct rc_buf buf;
    struct rc_remoting request, answer;
    static int32_t opaque;
    int64_t size;
    rc_buf_init(&buf, 65536);
    rc_remoting_request(&request, RC_REQ_CLUSTER_INFO, ++opaque);
    rc_remoting_put(&buf, &request);
    write_all(world.good, rc_buf_slice(&buf));
    rc_buf_consume(&buf, rc_buf_len(&buf));
    while ((size = rc_remoting_decode(rc_buf_slice(&buf), &answer)) == 0) {
        check(is_readable(world.good), "an endpoint that does not answer");
        ssize_t len = recv(world.good, rc_buf_reserve(&buf, 4096), 4096, 0);
        check(len > 0, "an endpoint that closes a good client's connection");
        rc_buf_commit(&buf, (size_t)len);
    }
    check(size > 0 && answer.opaque == opaque && answer.code == RC_RES_SUCCESS, "another answer");
    rc_remoting_done(&answer);
    rc_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world.endpoint == NULL) {
        atexit(end_life);
        start_life();
    } else if (world.inputs++ % INPUTS_A_LIFE == INPUTS_A_LIFE - 1) {
        end_life();
        start_life();
    }
    input = rc_slice(data, size);
    int fd = dial();
    play(fd);
    drain(fd);
    close(fd);
    ask_good();
    return 0;
}
