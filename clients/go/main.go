// Command go follows outcomes with the client that is generated from the contract, and shows what a subscriber keeps: the cursor.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	window     = 1 << 20
	readBuffer = 128 << 10
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9090", "address of the server")
	after := flag.String("after", "", "cursor to go on after; from the beginning without it")
	most := flag.Int("max", 1, "outcomes to read")
	flag.Parse()
	if err := follow(*addr, *after, *most); err != nil {
		log.Fatal(err)
	}
}

func follow(addr, after string, most int) error {
	// The windows bound what is on its way while an outcome is worked on; grpc's own are small for a stream that catches up.
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window), grpc.WithReadBufferSize(readBuffer))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	request := &callnormv1.StreamOutcomesRequest{}
	if after != "" {
		request.Start = &callnormv1.StreamOutcomesRequest_After{After: after}
	}
	stream, err := callnormv1.NewOutcomeServiceClient(conn).StreamOutcomes(context.Background(), request)
	if err != nil {
		return err
	}
	for read := 0; read < most; {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if outcome := message.GetOutcome(); outcome != nil { // heartbeats have none
			read++
			fmt.Println(outcome.GetProviderCallId(), outcome.GetStatus(), outcome.GetEnd().GetReason())
			fmt.Println("cursor to come back with:", message.GetCursor())
		}
	}
	return nil
}
