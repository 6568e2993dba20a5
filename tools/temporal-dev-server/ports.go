// Ports: the ones a person chose must be free, the inner ones are picked.
package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// claimPort returns the port to use on ip: a free one for 0, else `port` itself if nobody listens there.
func claimPort(ip string, port int, flagName string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("port %d on %s is taken; stop what listens there or choose another one: %s 0 picks a free port", port, ip, flagName)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot listen on %s port %d: %w; choose another one with %s", ip, port, err, flagName)
	}
	defer listener.Close()
	if port == 0 {
		return reservePort(listener)
	}
	return port, nil
}

// freePorts picks n different ports of the loopback address.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot listen on 127.0.0.1: %w", err)
		}
		defer listener.Close() // held until all are picked, so that no port comes twice
		if ports[i], err = reservePort(listener); err != nil {
			return nil, err
		}
	}
	return ports, nil
}

// reservePort leaves a closed connection behind on the listener's port. It stays in TIME_WAIT, in which the kernel gives
// the port to nobody who asks for "any", while a server may still bind it: servers started at the same time (a test
// suite) do not take each other's ports.
func reservePort(listener net.Listener) (int, error) {
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("cannot reach an own port: %w", err)
	}
	defer client.Close()
	connection, err := listener.Accept()
	if err != nil {
		return 0, fmt.Errorf("cannot reach an own port: %w", err)
	}
	connection.Close() // the side that closes first is the one that waits
	return listener.Addr().(*net.TCPAddr).Port, nil
}
