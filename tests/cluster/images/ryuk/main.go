// What Testcontainers' Ryuk does, as far as tests see it: takes filters of labels from a client and, when that has gone,
// removes the containers and networks that they match.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
)

var docker = http.Client{Transport: &http.Transport{
	DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", "/var/run/docker.sock")
	},
}}

func main() {
	listener, err := net.Listen("tcp", ":8080")
	check(err)
	fmt.Println("Started!")
	client, err := listener.Accept()
	check(err)
	labels := []string{}
	for lines := bufio.NewScanner(client); lines.Scan(); {
		for _, filter := range strings.Split(lines.Text(), "&") {
			labels = append(labels, strings.TrimPrefix(filter, "label="))
		}
		fmt.Fprintln(client, "ACK")
	}
	if len(labels) == 0 {
		log.Fatal("the client asked for nothing to be removed")
	}
	filters, err := json.Marshal(map[string][]string{"label": labels})
	check(err)
	for _, kind := range []string{"containers", "networks"} {
		remove(kind, url.QueryEscape(string(filters)))
	}
}

func remove(kind, filters string) {
	path := "/" + kind
	if kind == "containers" {
		path += "/json"
	}
	found := []struct{ Id string }{}
	check(json.Unmarshal(call("GET", path+"?all=true&filters="+filters), &found))
	for _, one := range found {
		fmt.Println("removing", kind, one.Id)
		call("DELETE", "/"+kind+"/"+one.Id+"?force=true&v=true")
	}
}

func call(method, path string) []byte {
	request, err := http.NewRequest(method, "http://docker"+path, nil)
	check(err)
	response, err := docker.Do(request)
	check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(err)
	return body
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
