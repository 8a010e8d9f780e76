package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// responder answers one question: from the zone, or by passing it on untouched.
type responder struct {
	zone       *zone
	resolvConf string
}

// reply returns the bytes to send back, or nil where the query cannot even be read.
func (r *responder) reply(network string, query []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	if r.zone.has(question.Name.String()) {
		records, known := r.zone.answer(question)
		code := dnsmessage.RCodeSuccess
		if !known {
			code = dnsmessage.RCodeNameError
		}
		return message(header, question, code, records)
	}
	if reply, err := r.forward(network, query); err == nil {
		return reply
	}
	return message(header, question, dnsmessage.RCodeServerFailure, nil)
}

func message(header dnsmessage.Header, question dnsmessage.Question, code dnsmessage.RCode, records []dnsmessage.Resource) []byte {
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: code != dnsmessage.RCodeServerFailure,
			RecursionDesired: header.RecursionDesired, RecursionAvailable: true, RCode: code,
		},
		Questions: []dnsmessage.Question{question},
		Answers:   records,
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// forward asks the machine's resolvers in turn; resolv.conf is read anew, since DHCP rewrites it under a laptop.
func (r *responder) forward(network string, query []byte) ([]byte, error) {
	servers, err := nameservers(r.resolvConf)
	if err != nil {
		return nil, err
	}
	failure := errors.New("no nameserver in " + r.resolvConf)
	for _, server := range servers {
		reply, err := exchange(network, net.JoinHostPort(server, "53"), query)
		if err == nil {
			return reply, nil
		}
		failure = err
	}
	return nil, failure
}

func nameservers(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var servers []string
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "nameserver" {
			servers = append(servers, fields[1])
		}
	}
	return servers, nil
}

func exchange(network, server string, query []byte) ([]byte, error) {
	conn, err := net.DialTimeout(network, server, upstreamTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(upstreamTimeout)); err != nil {
		return nil, err
	}
	if network == "tcp" {
		if err := writeFrame(conn, query); err != nil {
			return nil, err
		}
		return readFrame(conn)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	reply := make([]byte, 65535)
	size, err := conn.Read(reply)
	if err != nil {
		return nil, err
	}
	if size < 2 || reply[0] != query[0] || reply[1] != query[1] {
		return nil, errors.New("reply to another question")
	}
	return reply[:size], nil
}

// readFrame and writeFrame: over TCP each message has its length before it, in two bytes.
func readFrame(conn io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(conn, frame)
	return frame, err
}

func writeFrame(conn io.Writer, frame []byte) error {
	if len(frame) > 65535 {
		return errors.New("message too long")
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(frame))), frame...))
	return err
}
