package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A caller posts one body again and again; USER in it becomes one of a thousand users.
type caller struct {
	client           *http.Client
	url, body, token string
	mutex            sync.Mutex
	tookMs           []float64
	ends             map[string]int // HTTP status and the task's own, counted
}

// load calls in a closed loop of -c callers or, with -rate, in an open loop. A call of an open loop is timed from when it
// was due, so that a server that falls behind does not hide it. Prints one line of JSON.
func load(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	url := flags.String("url", "", "where to post")
	body := flags.String("body", "", "what to post")
	token := flags.String("token", "", "bearer token")
	callers := flags.Int("c", 1, "callers; with -rate the most calls in flight")
	seconds := flags.Float64("seconds", 5, "how long to begin calls")
	rate := flags.Float64("rate", 0, "open loop: calls a second")
	_ = flags.Parse(arguments)
	transport := &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 1000, DisableCompression: true}
	c := &caller{client: &http.Client{Transport: transport, Timeout: 120 * time.Second}, url: *url, body: *body, token: *token, ends: map[string]int{}}
	begin := time.Now()
	end := begin.Add(time.Duration(*seconds * float64(time.Second)))
	if *rate > 0 {
		c.open(begin, end, *rate, *callers)
	} else {
		c.closed(end, *callers)
	}
	return c.report(time.Since(begin))
}

func (c *caller) closed(end time.Time, callers int) {
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for now := time.Now(); now.Before(end); now = time.Now() {
				c.call(now)
			}
		})
	}
	all.Wait()
}

func (c *caller) open(begin, end time.Time, rate float64, most int) {
	var all sync.WaitGroup
	var flying atomic.Int64
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if due.After(end) {
			break
		}
		time.Sleep(time.Until(due))
		if flying.Add(1) > int64(most) {
			flying.Add(-1)
			c.note("not sent: too many in flight", 0)
			continue
		}
		all.Go(func() {
			defer flying.Add(-1)
			c.call(due)
		})
	}
	all.Wait()
}

func (c *caller) call(begin time.Time) {
	body := strings.ReplaceAll(c.body, "USER", fmt.Sprintf("u-%d", rand.Intn(1000)))
	request, err := http.NewRequest("POST", c.url, strings.NewReader(body))
	if err != nil {
		c.note(err.Error(), 0)
		return
	}
	request.Header.Set("content-type", "application/json")
	request.Header.Set("authorization", "Bearer "+c.token)
	response, err := c.client.Do(request)
	if err != nil {
		c.note(err.Error(), 0)
		return
	}
	answer, _ := io.ReadAll(response.Body)
	response.Body.Close()
	var task struct {
		Status string `json:"status"`
	}
	_ = json.Unmarshal(answer, &task)
	c.note(strings.TrimSpace(strconv.Itoa(response.StatusCode)+" "+task.Status), time.Since(begin))
}

func (c *caller) note(end string, took time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.ends[end]++
	c.tookMs = append(c.tookMs, float64(took.Microseconds())/1000)
}

func (c *caller) report(elapsed time.Duration) error {
	sort.Float64s(c.tookMs)
	at := func(share float64) float64 {
		if len(c.tookMs) == 0 {
			return 0
		}
		return c.tookMs[min(len(c.tookMs)-1, int(share*float64(len(c.tookMs))))]
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"calls": len(c.tookMs), "seconds": elapsed.Seconds(), "p50_ms": at(0.5), "p95_ms": at(0.95), "ends": c.ends,
	})
}
