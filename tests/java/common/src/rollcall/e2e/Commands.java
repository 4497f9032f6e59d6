package rollcall.e2e;

import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import com.alibaba.fastjson.serializer.SerializerFeature;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A driver's two sides: a command is one JSON line on standard input ({"id":..,"op":..,...}), its answer one JSON line
 * on standard output ({"kind":"reply","id":..,"ok":..}). What happens by itself is a line of another kind. Every line
 * has `mono` (CLOCK_MONOTONIC, ns) and `wall` (ms). The libraries' own output goes to standard error.
 */
final class Commands {
    /** Does one command; what it returns goes into the reply. */
    interface Op {
        Object run(JSONObject arguments) throws Exception;
    }

    private final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
    private final Map<String, Op> ops = new TreeMap<>();
    private final ExecutorService workers = Executors.newCachedThreadPool();

    Commands() {
        System.setOut(System.err);
        System.setProperty("rocketmq.client.logUseSlf4j", "true");
    }

    void on(String name, Op op) {
        ops.put(name, op);
    }

    void tell(String kind, JSONObject what) {
        what.put("kind", kind);
        what.putIfAbsent("mono", System.nanoTime());
        what.putIfAbsent("wall", System.currentTimeMillis());
        String line = JSON.toJSONString(what, SerializerFeature.DisableCircularReferenceDetect);
        synchronized (out) {
            out.write((line + "\n").getBytes(StandardCharsets.UTF_8), 0, line.getBytes(StandardCharsets.UTF_8).length + 1);
            out.flush();
        }
    }

    /** Reads commands until standard input ends, then ends the program without ceremony. */
    void serve() throws Exception {
        tell("ready", new JSONObject());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JSONObject command = JSON.parseObject(line);
            workers.execute(() -> answer(command));
        }
        Runtime.getRuntime().halt(0);
    }

    private void answer(JSONObject command) {
        JSONObject reply = new JSONObject();
        reply.put("id", command.get("id"));
        try {
            Op op = ops.get(command.getString("op"));
            if (op == null) {
                throw new IllegalArgumentException("no such op: " + command.getString("op"));
            }
            reply.put("value", op.run(command));
            reply.put("ok", true);
        } catch (Throwable e) {
            reply.put("ok", false);
            reply.put("error", String.valueOf(e));
            e.printStackTrace();
        }
        tell("reply", reply);
    }
}
