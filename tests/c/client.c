/* paho's C client behind the commands of tests/e2e/harness/client_program.py. */
#include <MQTTClient.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS = 4, WORDS = 10, PATIENCE_MS = 60000, PATIENCE_S = 60 };

struct message {
    struct message *next;
    char *topic;
    MQTTClient_message *content;
};

struct client {
    char name[32];
    MQTTClient handle;
    int version;
    pthread_mutex_t lock; /* what paho's thread writes */
    pthread_cond_t changed;
    struct message *first, **last;
    int is_ended, reason; /* -1: without one */
};

static struct client clients[CLIENTS];

static struct client *find(const char *name)
{
    for (int i = 0; i < CLIENTS; i++)
        if (strcmp(clients[i].name, name) == 0)
            return &clients[i];
    return NULL;
}

static int number(const char *word)
{
    return (int)strtol(word, NULL, 10);
}

/* ---- what comes, on paho's thread ---- */

static int on_message(void *context, char *topic, int len, MQTTClient_message *content)
{
    struct client *client = context;
    struct message *message = calloc(1, sizeof(*message));
    message->topic = topic;
    message->content = content;
    pthread_mutex_lock(&client->lock);
    *client->last = message;
    client->last = &message->next;
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->lock);
    return 1;
}

static void end(struct client *client, int reason)
{
    pthread_mutex_lock(&client->lock);
    if (!client->is_ended)
        client->reason = reason;
    client->is_ended = 1;
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

static void on_lost(void *context, char *cause)
{
    end(context, -1);
}

static void on_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    end(context, (int)reason);
}

/* Waits, with the lock, until there is a message or the end; 0 when nothing came. */
static int await(struct client *client, int wants_end)
{
    struct timespec until;
    int code = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (code == 0 && (wants_end ? !client->is_ended : client->first == NULL))
        code = pthread_cond_timedwait(&client->changed, &client->lock, &until);
    return code == 0;
}

/* ---- the commands: 0, or paho's code ---- */

static int create(struct client *client, char **words)
{
    MQTTClient_createOptions creation = MQTTClient_createOptions_initializer;
    client->version = creation.MQTTVersion = number(words[1]);
    int code = MQTTClient_createWithOptions(&client->handle, words[2], words[4], MQTTCLIENT_PERSISTENCE_NONE,
                                            NULL, &creation);
    if (code != 0)
        return code;
    client->last = &client->first;
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->changed, NULL);
    MQTTClient_setCallbacks(client->handle, client, on_lost, on_message, NULL);
    return MQTTClient_setDisconnected(client->handle, client, on_disconnect);
}

static int connect5(struct client *client, MQTTClient_connectOptions *options)
{
    MQTTProperties properties = MQTTProperties_initializer, of_will = MQTTProperties_initializer;
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, .value.integer4 = 300};
    if (!options->cleanstart)
        MQTTProperties_add(&properties, &expiry);
    MQTTResponse response = MQTTClient_connect5(client->handle, options, &properties, &of_will);
    int code = (int)response.reasonCode;
    MQTTResponse_free(response);
    MQTTProperties_free(&properties);
    return code;
}

static int open_client(char **words)
{
    struct client *client = find("");
    MQTTClient_connectOptions v3 = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    int code = create(client, words), is_v5 = client->version == 5;
    MQTTClient_connectOptions *options = is_v5 ? &v5 : &v3;
    options->MQTTVersion = client->version;
    options->connectTimeout = PATIENCE_S;
    *(is_v5 ? &options->cleanstart : &options->cleansession) = number(words[5]);
    if (strncmp(words[2], "ssl:", 4) == 0 || strncmp(words[2], "wss:", 4) == 0)
        options->ssl = &tls;
    tls.trustStore = words[3];
    tls.verify = 1;
    if (strcmp(words[6], "-") != 0)
        options->will = &will;
    will.topicName = words[6];
    will.message = "gone";
    will.qos = 1;
    if (code == 0)
        code = is_v5 ? connect5(client, options) : MQTTClient_connect(client->handle, options);
    if (code != 0)
        return code;
    snprintf(client->name, sizeof(client->name), "%s", words[0]);
    if (is_v5)
        puts("ok\t-"); /* the library keeps it for itself */
    else
        printf("ok\t%d\n", options->returned.sessionPresent);
    return 0;
}

static int finish(int code)
{
    if (code >= 0 && code < 0x80)
        puts("ok");
    return code >= 0x80 || code < 0 ? code : 0;
}

static int finish5(MQTTResponse response)
{
    int code = (int)response.reasonCode;
    MQTTResponse_free(response);
    return finish(code);
}

static int subscribe(struct client *client, char **words)
{
    if (client->version == 5)
        return finish5(MQTTClient_subscribe5(client->handle, words[1], number(words[2]), NULL, NULL));
    return finish(MQTTClient_subscribe(client->handle, words[1], number(words[2])));
}

static int unsubscribe(struct client *client, char **words)
{
    if (client->version == 5)
        return finish5(MQTTClient_unsubscribe5(client->handle, words[1], NULL));
    return finish(MQTTClient_unsubscribe(client->handle, words[1]));
}

static void add_text(MQTTProperties *properties, enum MQTTPropertyCodes code, char *text)
{
    MQTTProperty property = {.identifier = code, .value.data = {.data = text, .len = (int)strlen(text)}};
    MQTTProperties_add(properties, &property);
}

static void add_user(MQTTProperties *properties, char *name, char *value)
{
    MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY,
                             .value = {.data = {.data = name, .len = 1}, .value = {.data = value, .len = 1}}};
    MQTTProperties_add(properties, &property);
}

static void add_properties(MQTTProperties *properties)
{
    MQTTProperty format = {.identifier = MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, .value.byte = 1};
    MQTTProperties_add(properties, &format);
    add_text(properties, MQTTPROPERTY_CODE_CONTENT_TYPE, "text");
    add_text(properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, "answers");
    add_text(properties, MQTTPROPERTY_CODE_CORRELATION_DATA, "c-1");
    add_user(properties, "b", "1");
    add_user(properties, "a", "2");
    add_user(properties, "b", "3");
}

static int publish(struct client *client, char **words)
{
    int size = number(words[4]), code;
    MQTTClient_message message = MQTTClient_message_initializer;
    MQTTClient_deliveryToken token;
    message.payload = malloc((size_t)size + 1);
    message.payloadlen = size;
    memset(message.payload, number(words[5]), (size_t)size);
    message.qos = number(words[2]);
    message.retained = number(words[3]);
    if (client->version == 5) {
        if (number(words[6]))
            add_properties(&message.properties);
        MQTTResponse response = MQTTClient_publishMessage5(client->handle, words[1], &message, &token);
        code = (int)response.reasonCode;
        MQTTResponse_free(response);
        MQTTProperties_free(&message.properties);
    } else {
        code = MQTTClient_publishMessage(client->handle, words[1], &message, &token);
    }
    free(message.payload);
    if (code == 0 && message.qos > 0)
        code = MQTTClient_waitForCompletion(client->handle, token, PATIENCE_MS);
    return finish(code);
}

static void print_properties(MQTTProperties *properties)
{
    const enum MQTTPropertyCodes texts[] = {MQTTPROPERTY_CODE_CONTENT_TYPE, MQTTPROPERTY_CODE_RESPONSE_TOPIC,
                                            MQTTPROPERTY_CODE_CORRELATION_DATA};
    if (!MQTTProperties_hasProperty(properties, MQTTPROPERTY_CODE_CONTENT_TYPE)) {
        puts("-");
        return;
    }
    printf("%d", MQTTProperties_getNumericValue(properties, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR));
    for (int i = 0; i < 3; i++) {
        MQTTProperty *property = MQTTProperties_getProperty(properties, texts[i]);
        printf("|%.*s", property->value.data.len, property->value.data.data);
    }
    for (int i = 0; i < MQTTProperties_propertyCount(properties, MQTTPROPERTY_CODE_USER_PROPERTY); i++) {
        MQTTProperty *property = MQTTProperties_getPropertyAt(properties, MQTTPROPERTY_CODE_USER_PROPERTY, i);
        printf("%c%.*s=%.*s", i == 0 ? '|' : ',', property->value.data.len, property->value.data.data,
               property->value.value.len, property->value.value.data);
    }
    putchar('\n');
}

static int take(struct client *client)
{
    pthread_mutex_lock(&client->lock);
    struct message *message = await(client, 0) ? client->first : NULL;
    if (message != NULL && (client->first = message->next) == NULL)
        client->last = &client->first;
    pthread_mutex_unlock(&client->lock);
    if (message == NULL)
        return MQTTCLIENT_FAILURE;
    const unsigned char *payload = message->content->payload;
    int len = message->content->payloadlen,
        is_mixed = len > 0 && memcmp(payload, payload + 1, (size_t)len - 1) != 0;
    printf("ok\t%s\t%d\t%d\t%d\t", message->topic, message->content->qos, message->content->retained, len);
    if (is_mixed)
        printf("-\t");
    else
        printf("%d\t", len > 0 ? payload[0] : 0);
    print_properties(&message->content->properties);
    MQTTClient_freeMessage(&message->content);
    MQTTClient_free(message->topic);
    free(message);
    return 0;
}

static void forget(struct client *client)
{
    MQTTClient_destroy(&client->handle);
    memset(client, 0, sizeof(*client));
}

static int await_end(struct client *client)
{
    pthread_mutex_lock(&client->lock);
    int has_ended = await(client, 1), reason = client->reason;
    pthread_mutex_unlock(&client->lock);
    if (!has_ended)
        return MQTTCLIENT_FAILURE;
    printf(reason < 0 ? "ok\t-\n" : "ok\t%d\n", reason);
    forget(client);
    return 0;
}

static int close_client(struct client *client)
{
    int code = client->version == 5
                   ? MQTTClient_disconnect5(client->handle, PATIENCE_MS, MQTTREASONCODE_SUCCESS, NULL)
                   : MQTTClient_disconnect(client->handle, PATIENCE_MS);
    forget(client);
    return finish(code);
}

static int run(const char *command, char **words)
{
    struct client *client = find(words[0]);
    if (strcmp(command, "open") == 0)
        return open_client(words);
    if (client == NULL)
        return MQTTCLIENT_FAILURE;
    if (strcmp(command, "subscribe") == 0)
        return subscribe(client, words);
    if (strcmp(command, "unsubscribe") == 0)
        return unsubscribe(client, words);
    if (strcmp(command, "publish") == 0)
        return publish(client, words);
    if (strcmp(command, "take") == 0)
        return take(client);
    return strcmp(command, "end") == 0 ? await_end(client) : close_client(client);
}

int main(void)
{
    char line[4096];
    MQTTClient_init_options init = MQTTClient_init_options_initializer;
    init.do_openssl_init = 1;
    MQTTClient_global_init(&init);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *words[WORDS] = {0};
        line[strcspn(line, "\n")] = '\0';
        char *rest = line;
        for (int i = 0; i < WORDS && rest != NULL; i++)
            words[i] = strsep(&rest, "	");
        int code = run(words[0], words + 1);
        if (code != 0)
            printf("error\t%d\n", code);
        fflush(stdout);
    }
    return 0;
}
