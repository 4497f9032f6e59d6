/* Nothing in front of MQTT. Each header of this kind belongs to connection_fuzz.c, which has its contract:
 * over_make() makes the listener's transport, over_begin(i) says what comes before MQTT when a peer has
 * dialled, over_put and over_take carry its bytes, over_end(i) forgets it. */

static struct rc_transport *over_make(void)
{
    return NULL;
}

static void over_begin(int i)
{
}

static void over_put(int i, struct rc_slice bytes)
{
    put_raw(i, bytes);
}

static size_t over_take(int i, uint8_t *bytes, size_t size)
{
    return take_raw(i, bytes, size);
}

static void over_end(int i)
{
}
