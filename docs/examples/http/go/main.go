// Talks to Second Look with nothing but Go's standard library.
//
//	go run main.go publish post-1 "See you at lunch"
//	go run main.go feed [CURSOR]
//	go run main.go verify WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE [NOW] < body
//
// It reads SECONDLOOK_API_KEY, and where they are not the defaults SECONDLOOK_ROUTER_URL and SECONDLOOK_API_URL;
// `verify` reads WEBHOOK_SECRETS, one or, while a secret is being replaced, two with a blank between.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	tries     = 6
	tolerance = 300 // seconds
)

// Content is one revision of one piece of content.
type Content struct {
	Source    string    `json:"source"`
	ContentID string    `json:"content_id"`
	Revision  int       `json:"revision"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`
}

// Decision is what an upstream service acts on. Of one piece of content the highest Sequence counts.
type Decision struct {
	Source    string   `json:"source"`
	ContentID string   `json:"content_id"`
	Revision  int      `json:"revision"`
	Sequence  int64    `json:"sequence"`
	Outcome   string   `json:"outcome"`
	Labels    []string `json:"labels"`
	Action    string   `json:"action"`
}

// FeedPage holds decisions, oldest first. Store Next once they are dealt with.
type FeedPage struct {
	Decisions []Decision `json:"decisions"`
	Next      string     `json:"next"`
}

// Problem is what the server says is wrong (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

var client = &http.Client{
	Timeout:       60 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask sends a request, again while the server is away or busy: what has arrived before changes nothing.
func ask(method, address string, body []byte) ([]byte, error) {
	var trouble error
	for try := 0; try < tries; try++ {
		request, err := http.NewRequest(method, address, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+os.Getenv("SECONDLOOK_API_KEY"))
		request.Header.Set("Content-Type", "application/json")
		pause := time.Duration(500<<try) * time.Millisecond
		response, err := client.Do(request)
		if err != nil {
			trouble = err
		} else {
			answer, err := io.ReadAll(response.Body)
			response.Body.Close()
			switch {
			case err != nil:
				trouble = err
			case response.StatusCode/100 == 2:
				return answer, nil
			default:
				var problem Problem
				_ = json.Unmarshal(answer, &problem)
				trouble = fmt.Errorf("%s: %s %s %s", response.Status, problem.Code, problem.Title, problem.Detail)
				if !strings.Contains(" 429 502 503 504 ", fmt.Sprintf(" %d ", response.StatusCode)) {
					return nil, trouble
				}
				if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
					pause = time.Duration(seconds) * time.Second
				}
			}
		}
		if try < tries-1 {
			time.Sleep(pause)
		}
	}
	return nil, trouble
}

func publish(id, text string) error {
	body, err := json.Marshal(Content{"forum", id, 1, text, time.Now().UTC()})
	if err != nil {
		return err
	}
	_, err = ask("POST", setting("SECONDLOOK_ROUTER_URL", "http://127.0.0.1:8001")+"/v1/content", body)
	return err
}

// feed prints what was decided behind a cursor, then the cursor to go on with.
func feed(after string) error {
	query := url.Values{"wait": {"10"}}
	if after != "" {
		query.Set("after", after)
	}
	address := setting("SECONDLOOK_API_URL", "http://127.0.0.1:8000") + "/v1/decisions/feed?" + query.Encode()
	answer, err := ask("GET", address, nil)
	if err != nil {
		return err
	}
	var page FeedPage
	if err := json.Unmarshal(answer, &page); err != nil {
		return err
	}
	for _, decision := range page.Decisions {
		fmt.Println(decision.Source, decision.ContentID, decision.Sequence, decision.Outcome, decision.Labels)
	}
	fmt.Println("next", page.Next)
	return nil
}

// verify says nothing if Second Look sent this, by one of the secrets, and not long ago.
func verify(secrets []string, id, sentAt, signatures string, body []byte, now float64) error {
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	if err != nil || id == "" || !regexp.MustCompile(`^[0-9]{1,12}$`).MatchString(sentAt) {
		return errors.New("webhook-id or webhook-timestamp is missing or wrong")
	}
	if !(math.Abs(now-float64(seconds)) <= tolerance) {
		return errors.New("it was sent too long ago, or a clock is wrong")
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 {
			return errors.New("a secret is not whsec_ and base64")
		}
		wanted := hmac.New(sha256.New, key)
		fmt.Fprintf(wanted, "%s.%s.%s", id, sentAt, body)
		for _, token := range strings.Split(signatures, " ") {
			given, ok := strings.CutPrefix(token, "v1,")
			mac, err := base64.StdEncoding.DecodeString(given)
			if ok && err == nil && hmac.Equal(mac, wanted.Sum(nil)) {
				return nil
			}
		}
	}
	return errors.New("no signature fits")
}

func verifyInput(arguments []string) error {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	now := float64(time.Now().Unix())
	if len(arguments) > 3 {
		if now, err = strconv.ParseFloat(arguments[3], 64); err != nil {
			return err
		}
	}
	secrets := strings.Fields(os.Getenv("WEBHOOK_SECRETS"))
	return verify(secrets, arguments[0], arguments[1], arguments[2], body, now)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	err := errors.New("say publish ID TEXT, feed [CURSOR], or verify ID TIMESTAMP SIGNATURE")
	switch command := append(os.Args, "", "")[1]; {
	case command == "publish" && len(os.Args) == 4:
		err = publish(os.Args[2], os.Args[3])
	case command == "feed" && len(os.Args) <= 3:
		err = feed(append(os.Args, "")[2])
	case command == "verify" && len(os.Args) >= 5:
		err = verifyInput(os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
