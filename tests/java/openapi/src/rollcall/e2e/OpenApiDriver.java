package rollcall.e2e;

import com.alibaba.fastjson.JSONObject;
import com.aliyuncs.AcsRequest;
import com.aliyuncs.AcsResponse;
import com.aliyuncs.CommonRequest;
import com.aliyuncs.CommonResponse;
import com.aliyuncs.DefaultAcsClient;
import com.aliyuncs.IAcsClient;
import com.aliyuncs.RpcAcsRequest;
import com.aliyuncs.exceptions.ClientException;
import com.aliyuncs.http.FormatType;
import com.aliyuncs.http.HttpResponse;
import com.aliyuncs.http.MethodType;
import com.aliyuncs.http.ProtocolType;
import com.aliyuncs.profile.DefaultProfile;
import com.aliyuncs.transform.UnmarshallerContext;

/** The official core SDK under remote control. */
public final class OpenApiDriver {
    private static final String REGION = "local";
    private static final String PRODUCT = "OnsMqtt";
    private static final String VERSION = "2020-04-20";

    private OpenApiDriver() {
    }

    /** What the product's SDK has a class for each action for: here one for all of them. */
    private static final class Call extends RpcAcsRequest<Answer> {
        Call(JSONObject parameters) {
            super(PRODUCT, VERSION, parameters.getString("Action"));
            parameters.forEach((name, value) -> putQueryParameter(name, String.valueOf(value)));
        }

        @Override
        public Class<Answer> getResponseClass() {
            return Answer.class;
        }
    }

    /** Its answer, read by the SDK's own reader of JSON or XML. */
    public static final class Answer extends AcsResponse {
        private String requestId;

        @Override
        public Answer getInstance(UnmarshallerContext context) {
            requestId = context.stringValue(context.getResponseMap().keySet().iterator().next().split("\\.")[0]
                    + ".RequestId");
            return this;
        }
    }

    private static IAcsClient client(JSONObject arguments) {
        DefaultProfile.addEndpoint(REGION, PRODUCT, arguments.getString("endpoint"));
        return new DefaultAcsClient(DefaultProfile.getProfile(REGION, arguments.getString("ak"),
                arguments.getString("sk")));
    }

    private static JSONObject failed(ClientException e) {
        JSONObject answer = new JSONObject();
        answer.put("code", e.getErrCode());
        answer.put("message", e.getErrMsg());
        answer.put("requestId", e.getRequestId());
        return answer;
    }

    /** By the way of the generated classes: {status, body}, or {code, message}. */
    private static Object call(JSONObject arguments) throws Exception {
        AcsRequest<Answer> request = new Call(arguments.getJSONObject("parameters"));
        request.setSysMethod(MethodType.valueOf(arguments.getString("method")));
        request.setAcceptFormat(FormatType.valueOf(arguments.getString("format")));
        request.setSysProtocol(ProtocolType.HTTP);
        JSONObject answer = new JSONObject();
        try {
            if (arguments.getBooleanValue("parsed")) {
                answer.put("requestId", client(arguments).getAcsResponse(request).requestId);
            } else {
                HttpResponse response = client(arguments).doAction(request);
                answer.put("status", response.getStatus());
                answer.put("body", response.getHttpContentString());
            }
            return answer;
        } catch (ClientException e) {
            return failed(e);
        }
    }

    /** By CommonRequest, which takes any action: parameters in the body. */
    private static Object common(JSONObject arguments) throws Exception {
        CommonRequest request = new CommonRequest();
        request.setSysDomain(arguments.getString("endpoint"));
        request.setSysVersion(VERSION);
        request.setSysAction(arguments.getJSONObject("parameters").getString("Action"));
        request.setSysMethod(MethodType.POST);
        request.setSysProtocol(ProtocolType.HTTP);
        arguments.getJSONObject("parameters").forEach((name, value) -> {
            if (!"Action".equals(name)) {
                request.putBodyParameter(name, value);
            }
        });
        try {
            CommonResponse response = client(arguments).getCommonResponse(request);
            JSONObject answer = new JSONObject();
            answer.put("status", response.getHttpStatus());
            answer.put("body", response.getData());
            return answer;
        } catch (ClientException e) {
            return failed(e);
        }
    }

    public static void main(String[] args) throws Exception {
        Commands commands = new Commands();
        commands.on("call", OpenApiDriver::call);
        commands.on("common", OpenApiDriver::common);
        commands.serve();
    }
}
