import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

/**
 * The JDK's HttpClient with its default settings against the server in clear text. It prefers HTTP/2, so it sends its first request, body
 * included, as HTTP/1.1 with "Upgrade: h2c", and goes on with HTTP/2 on that connection. Run: java JdkClient.java
 */
final class JdkClient {
    private static final String URL = environment("FERRY_URL", "http://127.0.0.1:8080");
    private static final String KEY = environment("FERRY_API_KEY", "");
    private static int failed = 0;

    private interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) {
        check("a first POST is upgraded and answered over HTTP/2", () -> {
            HttpClient client = HttpClient.newHttpClient();
            expectSum(client.send(sum("347 + 285", false), text()), "632", HttpClient.Version.HTTP_2);
            expectSum(client.send(sum("632 - 285", false), text()), "347", HttpClient.Version.HTTP_2);
        });
        check("a first GET is upgraded", () -> {
            HttpResponse<String> response = HttpClient.newHttpClient().send(request("/v1/models").GET().build(), text());
            expect(response.statusCode() == 200 && response.version() == HttpClient.Version.HTTP_2, describe(response));
            expect(response.body().contains("\"object\":\"list\""), describe(response));
        });
        check("a first POST that streams is upgraded and read line by line", () -> {
            HttpResponse<java.util.stream.Stream<String>> response =
                HttpClient.newHttpClient().send(sum("347 + 285", true), HttpResponse.BodyHandlers.ofLines());
            List<String> lines = response.body().filter(line -> !line.isEmpty()).collect(Collectors.toList());
            expect(response.version() == HttpClient.Version.HTTP_2, response.toString());
            expect(lines.size() > 5 && lines.get(lines.size() - 1).equals("data: [DONE]"), lines.toString());
        });
        check("a large body is upgraded", () -> {
            String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"What is 347 + 285?\"}],\"temperature\":0,\"metadata\":{\"filler\":\""
                + "x".repeat(50_000) + "\"}}";
            expectSum(HttpClient.newHttpClient().send(post(body), text()), "632", HttpClient.Version.HTTP_2);
        });
        check("many concurrent requests get their own answers", () -> {
            HttpClient client = HttpClient.newHttpClient();
            client.send(request("/v1/models").GET().build(), text());
            List<CompletableFuture<HttpResponse<String>>> pending = new ArrayList<>();
            for (int i = 0; i < 32; i++) {
                pending.add(client.sendAsync(sum(i % 2 == 0 ? "347 + 285" : "632 - 285", false), text()));
            }
            for (int i = 0; i < pending.size(); i++) {
                expectSum(pending.get(i).get(), i % 2 == 0 ? "632" : "347", HttpClient.Version.HTTP_2);
            }
        });
        check("HTTP/1.1 on request", () -> {
            HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
            expectSum(client.send(sum("347 + 285", false), text()), "632", HttpClient.Version.HTTP_1_1);
        });
        check("an error arrives whole after an upgrade", () -> {
            HttpResponse<String> response = HttpClient.newHttpClient().send(post("{\"messages\":"), text());
            expect(response.statusCode() == 400 && response.body().contains("\"code\":\"invalid_json\""), describe(response));
        });
        System.out.println(failed == 0 ? "all passed" : failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }

    private static void check(String title, Check check) {
        try {
            check.run();
            System.out.println("ok    " + title);
        } catch (Exception | AssertionError error) {
            failed += 1;
            System.out.println("FAIL  " + title);
            error.printStackTrace(System.out);
        }
    }

    private static void expectSum(HttpResponse<String> response, String result, HttpClient.Version version) {
        expect(response.statusCode() == 200 && response.version() == version, describe(response));
        expect(response.body().contains("= " + result + "."), describe(response));
    }

    private static void expect(boolean condition, String found) {
        if (!condition) throw new AssertionError(found);
    }

    private static String describe(HttpResponse<String> response) {
        return response.version() + " " + response.statusCode() + " " + response.body();
    }

    private static HttpResponse.BodyHandler<String> text() {
        return HttpResponse.BodyHandlers.ofString();
    }

    private static HttpRequest sum(String sum, boolean stream) {
        return post("{\"messages\":[{\"role\":\"user\",\"content\":\"What is " + sum + "?\"}],\"temperature\":0,\"stream\":" + stream + "}");
    }

    private static HttpRequest post(String body) {
        return request("/v1/chat/completions").header("content-type", "application/json").POST(HttpRequest.BodyPublishers.ofString(body)).build();
    }

    private static HttpRequest.Builder request(String path) {
        HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(URL + path)).timeout(Duration.ofSeconds(60));
        return KEY.isEmpty() ? builder : builder.header("authorization", "Bearer " + KEY);
    }

    private static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }
}
