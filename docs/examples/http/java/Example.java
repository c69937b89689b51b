import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Talks to Second Look with nothing but the JDK, 11 or newer.
 *
 * <pre>
 * java Example.java publish post-1 "See you at lunch"
 * java Example.java feed [CURSOR]
 * java Example.java verify WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE [NOW] &lt; body
 * </pre>
 *
 * It reads SECONDLOOK_API_KEY, and where they are not the defaults SECONDLOOK_ROUTER_URL and SECONDLOOK_API_URL;
 * {@code verify} reads WEBHOOK_SECRETS, one or, while a secret is being replaced, two with a blank between.
 */
public class Example {
    static final int TRIES = 6;
    static final double TOLERANCE = 300; // seconds
    static final Set<Integer> BUSY = Set.of(429, 502, 503, 504);
    static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    /** What the server says is wrong (RFC 9457), as JSON; or why there is no answer. */
    static class Refused extends Exception {
        private static final long serialVersionUID = 1;

        Refused(String message) {
            super(message);
        }
    }

    /** Sends a request, again while the server is away or busy: what has arrived before changes nothing. */
    static String ask(HttpRequest.Builder request) throws Refused, InterruptedException {
        HttpRequest whole = request
                .header("Authorization", "Bearer " + setting("SECONDLOOK_API_KEY", ""))
                .header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(60))
                .build();
        String trouble = "";
        for (int attempt = 0; attempt < TRIES; attempt++) {
            long pause = 500L << attempt;
            try {
                HttpResponse<String> answer = CLIENT.send(whole, HttpResponse.BodyHandlers.ofString());
                if (answer.statusCode() / 100 == 2) {
                    return answer.body();
                }
                trouble = answer.statusCode() + " " + answer.body();
                if (!BUSY.contains(answer.statusCode())) {
                    break;
                }
                String after = answer.headers().firstValue("Retry-After").orElse("");
                pause = after.matches("[0-9]{1,4}") ? Long.parseLong(after) * 1000 : pause;
            } catch (IOException error) {
                trouble = error.toString();
            }
            if (attempt < TRIES - 1) {
                Thread.sleep(pause);
            }
        }
        throw new Refused(trouble);
    }

    static void publish(String id, String text) throws Refused, InterruptedException {
        String body = String.format(
                "{\"source\": \"forum\", \"content_id\": %s, \"revision\": 1, \"text\": %s, \"created_at\": \"%s\"}",
                quoted(id), quoted(text), Instant.now());
        URI address = URI.create(setting("SECONDLOOK_ROUTER_URL", "http://127.0.0.1:8001") + "/v1/content");
        ask(HttpRequest.newBuilder(address).POST(HttpRequest.BodyPublishers.ofString(body)));
    }

    /** Prints what was decided behind a cursor, then the cursor to go on with. Read it with your JSON library. */
    static void feed(String after) throws Refused, InterruptedException {
        String query = "?wait=10" + (after.isEmpty() ? "" : "&after=" + URLEncoder.encode(after, StandardCharsets.UTF_8));
        URI address = URI.create(setting("SECONDLOOK_API_URL", "http://127.0.0.1:8000") + "/v1/decisions/feed" + query);
        String page = ask(HttpRequest.newBuilder(address));
        System.out.println(page);
        Matcher next = Pattern.compile("\"next\"\\s*:\\s*\"([^\"]*)\"\\s*}\\s*$").matcher(page);
        if (!next.find()) {
            throw new Refused("the answer is no page of the feed");
        }
        System.out.println("next " + next.group(1));
    }

    /** Whether Second Look sent this, by one of the secrets, and not long ago. */
    static boolean isGenuine(List<String> secrets, String id, String sentAt, String signatures, byte[] body, double now)
            throws GeneralSecurityException {
        if (id.isEmpty() || !sentAt.matches("[0-9]{1,12}")) {
            return false;
        }
        if (!(Math.abs(now - Long.parseLong(sentAt)) <= TOLERANCE)) {
            return false;
        }
        for (String secret : secrets) {
            // Throws IllegalArgumentException where it is not base64, or empty.
            byte[] key = Base64.getDecoder().decode(secret.startsWith("whsec_") ? secret.substring(6) : secret);
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            mac.update((id + "." + sentAt + ".").getBytes(StandardCharsets.UTF_8));
            String wanted = Base64.getEncoder().encodeToString(mac.doFinal(body));
            for (String token : signatures.split(" ")) {
                // isEqual takes the same time wherever the two differ.
                if (MessageDigest.isEqual(utf8(token), utf8("v1," + wanted))) {
                    return true;
                }
            }
        }
        return false;
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** A text as JSON has it; your JSON library does this for you. */
    static String quoted(String text) {
        StringBuilder found = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            boolean plain = letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\';
            found.append(plain ? String.valueOf(letter) : String.format("\\u%04x", (int) letter));
        }
        return found.append('"').toString();
    }

    static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    public static void main(String[] arguments) throws Exception {
        String command = arguments.length > 0 ? arguments[0] : "";
        try {
            if (command.equals("publish") && arguments.length == 3) {
                publish(arguments[1], arguments[2]);
            } else if (command.equals("feed") && arguments.length <= 2) {
                feed(arguments.length == 2 ? arguments[1] : "");
            } else if (command.equals("verify") && arguments.length >= 4) {
                double now = arguments.length > 4 ? Double.parseDouble(arguments[4]) : Instant.now().getEpochSecond();
                List<String> secrets = List.of(setting("WEBHOOK_SECRETS", "").trim().split("\\s+"));
                byte[] body = System.in.readAllBytes();
                if (!isGenuine(secrets, arguments[1], arguments[2], arguments[3], body, now)) {
                    throw new Refused("nobody knows who sent this");
                }
            } else {
                throw new Refused("say publish ID TEXT, feed [CURSOR], or verify ID TIMESTAMP SIGNATURE");
            }
        } catch (Refused | IllegalArgumentException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }
}
