// What Alertmanager itself makes of matchers: reads lines of JSON, {"text", "values"}, and writes each with its answers.
//
// For each syntax: the matchers as [name, operator, value, the values that match], or null for a refusal.
// Run in an empty folder: go mod init recorded; go get github.com/prometheus/alertmanager/matcher/compat@v0.34.2;
// go run matchers.go <matchers.jsonl >new.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/alertmanager/matcher/compat"
)

type line struct {
	Text     string   `json:"text"`
	Values   []string `json:"values"`
	Classic  [][]any  `json:"classic"`
	UTF8     [][]any  `json:"utf8"`
	Fallback [][]any  `json:"fallback"`
}

func answers(parse compat.ParseMatchers, asked line) [][]any {
	matchers, err := parse(asked.Text, "recorded")
	if err != nil {
		return nil
	}
	read := [][]any{}
	for _, matcher := range matchers {
		matched := []string{}
		for _, value := range asked.Values {
			if matcher.Matches(value) {
				matched = append(matched, value)
			}
		}
		read = append(read, []any{matcher.Name, matcher.Type.String(), matcher.Value, matched})
	}
	return read
}

func main() {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for in.Scan() {
		var asked line
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			panic(err)
		}
		asked.Classic = answers(compat.ClassicMatchersParser(quiet), asked)
		asked.UTF8 = answers(compat.UTF8MatchersParser(quiet), asked)
		asked.Fallback = answers(compat.FallbackMatchersParser(quiet), asked)
		if err := out.Encode(asked); err != nil {
			panic(err)
		}
	}
}
