package rollcall.e2e;

import com.alibaba.fastjson.JSONObject;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.remoting.RPCHook;

/** Apache RocketMQ's Java client under remote control; the same source serves 4.9 and 5.3. */
public final class Driver {
    private Driver() {
    }

    /** Signs requests when the command brings keys. */
    static RPCHook hook(JSONObject arguments) {
        String key = arguments.getString("ak");
        return key == null ? null : new AclClientRPCHook(new SessionCredentials(key, arguments.getString("sk")));
    }

    public static void main(String[] args) throws Exception {
        Commands commands = new Commands();
        DemoStatus demo = new DemoStatus();
        new Consumers(commands, demo);
        new Producers(commands);
        new Admins(commands);
        commands.on("online", arguments -> demo.online(arguments.getString("client")));
        commands.serve();
    }
}
