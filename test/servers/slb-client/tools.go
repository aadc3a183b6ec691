// Calls Classic Load Balancer through the vendor's Go SDK, the one that the cloud controller manager is built on.
//
//	slb-client HOST:PORT REGION KEY SECRET
//
// Reads one call a line, {"action": "DescribeVServerGroups", "parameters": {"LoadBalancerId": "lb-1"}}, and writes one line each:
// {"answer": {...}}, which has been through the SDK's own types and back, or {"status": 404, "code": "...", "message": "..."}.
// A value is text; lists of texts and of tags are {"ResourceId": ["a"]} and {"Tag": [{"Key": "a", "Value": "b"}]}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
)

type call struct {
	Action     string                     `json:"action"`
	Parameters map[string]json.RawMessage `json:"parameters"`
}

// Requests are made as the SDK's Create…Request functions do: those can't be looked up by name, their types can.
func request(action string, kind reflect.Type) reflect.Value {
	made := reflect.New(kind)
	rpc := &requests.RpcRequest{}
	made.Elem().FieldByName("RpcRequest").Set(reflect.ValueOf(rpc))
	rpc.InitWithApiInfo("Slb", "2014-05-15", action, "slb", "openAPI")
	rpc.Method = requests.POST
	return made
}

func fill(made reflect.Value, parameters map[string]json.RawMessage) error {
	for name, raw := range parameters {
		field, found := reflect.Value{}, false
		for i := 0; i < made.Elem().NumField(); i++ {
			if made.Elem().Type().Field(i).Tag.Get("name") == name {
				field, found = made.Elem().Field(i), true
			}
		}
		if !found {
			return fmt.Errorf("the SDK's request has no parameter %s", name)
		}
		if err := json.Unmarshal(raw, field.Addr().Interface()); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	return nil
}

func perform(client *slb.Client, line []byte) map[string]any {
	bug := func(err error) map[string]any { return map[string]any{"bug": err.Error()} }
	var it call
	if err := json.Unmarshal(line, &it); err != nil {
		return bug(err)
	}
	method := reflect.ValueOf(client).MethodByName(it.Action)
	if !method.IsValid() {
		return bug(fmt.Errorf("the SDK has no action %s", it.Action))
	}
	made := request(it.Action, method.Type().In(0).Elem())
	if err := fill(made, it.Parameters); err != nil {
		return bug(err)
	}
	results := method.Call([]reflect.Value{made})
	if err, failed := results[1].Interface().(error); failed && err != nil {
		if refusal, isRefusal := err.(*sdkerrors.ServerError); isRefusal {
			return map[string]any{"status": refusal.HttpStatus(), "code": refusal.ErrorCode(), "message": refusal.Message()}
		}
		return bug(err)
	}
	return map[string]any{"answer": results[0].Interface()}
}

func main() {
	host, region, key, secret := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	config := sdk.NewConfig().WithScheme("HTTP").WithAutoRetry(false)
	client, err := slb.NewClientWithOptions(region, config, credentials.NewAccessKeyCredential(key, secret))
	if err != nil {
		panic(err)
	}
	client.Domain = host
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(perform(client, lines.Bytes())); err != nil {
			panic(err)
		}
	}
}
