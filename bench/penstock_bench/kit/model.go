package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
)

const answerWords = "It is on its way. "

// What a conversation makes the model do stands in its system prompt: "#bench tools=9" asks for a tool nine times.
var mark = regexp.MustCompile(`#bench tools=([0-9]+)`)
var serial atomic.Int64

func serveModel(arguments []string) error {
	flags := flag.NewFlagSet("model", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to serve on")
	_ = flags.Parse(arguments)
	http.HandleFunc("/v1/messages", answer)
	http.HandleFunc("/tool", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"status":"shipped","carrier":"DHL","eta":"tomorrow"}`)
	})
	return http.ListenAndServe(*listen, nil)
}

func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	wanted := 0
	if found := mark.FindSubmatch(body); found != nil {
		wanted, _ = strconv.Atoi(string(found[1]))
	}
	asks := bytes.Count(body, []byte(`"tool_result"`)) < wanted
	streamed := bytes.Contains(body, []byte(`"stream":true`)) || bytes.Contains(body, []byte(`"stream": true`))
	n := serial.Add(1)
	if streamed {
		stream(w, n, asks)
	} else {
		whole(w, n, asks)
	}
}

func whole(w http.ResponseWriter, n int64, asks bool) {
	content, reason := fmt.Sprintf(`{"type":"text","text":%q}`, answerWords), "end_turn"
	if asks {
		content, reason = fmt.Sprintf(`{"type":"text","text":"I look."},{"type":"tool_use","id":"toolu_%d","name":"lookup","input":{"order":"A%d"}}`, n, n), "tool_use"
	}
	w.Header().Set("content-type", "application/json")
	fmt.Fprintf(w, `{"id":"msg_%d","type":"message","role":"assistant","model":"fake","content":[%s],"stop_reason":%q,"stop_sequence":null,"usage":{"input_tokens":100,"output_tokens":20}}`, n, content, reason)
}

// stream writes all events at once: what a fast model on loopback does, and the least for a client to do.
func stream(w http.ResponseWriter, n int64, asks bool) {
	var b bytes.Buffer
	event := func(kind, data string) {
		fmt.Fprintf(&b, "event: %s\ndata: {\"type\":%q,%s}\n\n", kind, kind, data)
	}
	block := func(index int, start string, deltas ...string) {
		event("content_block_start", fmt.Sprintf(`"index":%d,"content_block":%s`, index, start))
		for _, delta := range deltas {
			event("content_block_delta", fmt.Sprintf(`"index":%d,"delta":%s`, index, delta))
		}
		event("content_block_stop", fmt.Sprintf(`"index":%d`, index))
	}
	text := func(index int, words string) {
		block(index, `{"type":"text","text":""}`, fmt.Sprintf(`{"type":"text_delta","text":%q}`, words))
	}
	event("message_start", fmt.Sprintf(`"message":{"id":"msg_%d","type":"message","role":"assistant","model":"fake","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":100,"output_tokens":1}}`, n))
	reason := "end_turn"
	if asks {
		reason = "tool_use"
		text(0, "I look.")
		block(1, fmt.Sprintf(`{"type":"tool_use","id":"toolu_%d","name":"lookup","input":{}}`, n),
			`{"type":"input_json_delta","partial_json":"{\"order\":"}`,
			fmt.Sprintf(`{"type":"input_json_delta","partial_json":"\"A%d\"}"}`, n))
	} else {
		text(0, strings.TrimSpace(answerWords))
	}
	event("message_delta", fmt.Sprintf(`"delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":20}`, reason))
	fmt.Fprint(&b, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	w.Header().Set("content-type", "text/event-stream; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}
