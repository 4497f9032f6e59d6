/* paho's C client: <uri> <ca file> <client id>: subscribes, publishes to itself with each QoS, and leaves. */
#include <MQTTClient.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 100000, PATIENCE_MS = 10000 };

static void check(int code, const char *what)
{
    if (code == MQTTCLIENT_SUCCESS)
        return;
    fprintf(stderr, "%s: %d\n", what, code);
    exit(1);
}

static void receive(MQTTClient client, const char *payload)
{
    char *topic = NULL;
    int len;
    MQTTClient_message *message = NULL;
    check(MQTTClient_receive(client, &topic, &len, &message, PATIENCE_MS), "receive");
    if (message == NULL || message->payloadlen != SIZE || memcmp(message->payload, payload, SIZE) != 0)
        check(-100, "the payload is not as it was sent");
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
}

int main(int argc, char **argv)
{
    MQTTClient client;
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    char topic[128], *payload = malloc(SIZE);
    if (argc != 4 || payload == NULL)
        return 2;
    memset(payload, 'c', SIZE);
    snprintf(topic, sizeof(topic), "c/%s", argv[3]);
    check(MQTTClient_create(&client, argv[1], argv[3], MQTTCLIENT_PERSISTENCE_NONE, NULL), "create");
    tls.trustStore = argv[2];
    tls.verify = 1;
    if (strncmp(argv[1], "ssl:", 4) == 0 || strncmp(argv[1], "wss:", 4) == 0)
        options.ssl = &tls;
    options.connectTimeout = PATIENCE_MS / 1000;
    check(MQTTClient_connect(client, &options), "connect");
    check(MQTTClient_subscribe(client, topic, 2), "subscribe");
    for (int qos = 0; qos <= 2; qos++) {
        MQTTClient_deliveryToken token;
        check(MQTTClient_publish(client, topic, SIZE, payload, qos, 0, &token), "publish");
        check(MQTTClient_waitForCompletion(client, token, PATIENCE_MS), "completion");
        receive(client, payload);
    }
    check(MQTTClient_disconnect(client, PATIENCE_MS), "disconnect");
    MQTTClient_destroy(&client);
    free(payload);
    puts("done");
    return 0;
}
