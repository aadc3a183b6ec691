// Calls Network Load Balancer through the core of the vendor's newer Go SDKs, on which its generated client and so the cloud controller
// manager stand: github.com/alibabacloud-go/nlb-20220430 itself is not to be had from every module proxy.
//
//	nlb-client HOST:PORT REGION KEY SECRET [v2]
//
// Reads one call a line, {"action": "ListServerGroups", "query": {...}, "body": {"ServerGroupIds": ["sgp-1"]}}, and writes one line each:
// {"answer": {...}} or {"status": 404, "code": "...", "message": "..."}. Lists and objects are flattened by the SDK. With v2 requests are
// signed with HMAC-SHA1, else with ACS3-HMAC-SHA256.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	"github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
)

type call struct {
	Action string         `json:"action"`
	Query  map[string]any `json:"query"`
	Body   map[string]any `json:"body"`
}

func perform(client *openapi.Client, line []byte) map[string]any {
	bug := func(err error) map[string]any { return map[string]any{"bug": err.Error()} }
	var it call
	if err := json.Unmarshal(line, &it); err != nil {
		return bug(err)
	}
	params := &utils.Params{
		Action:      dara.String(it.Action),
		Version:     dara.String("2022-04-30"),
		Protocol:    dara.String("HTTP"),
		Pathname:    dara.String("/"),
		Method:      dara.String("POST"),
		AuthType:    dara.String("AK"),
		Style:       dara.String("RPC"),
		ReqBodyType: dara.String("formData"),
		BodyType:    dara.String("json"),
	}
	request := &utils.OpenApiRequest{}
	if it.Query != nil {
		request.Query = utils.Query(it.Query)
	}
	if it.Body != nil {
		request.Body = utils.ParseToMap(utils.Query(it.Body))
	}
	answer, err := client.CallApi(params, request, &dara.RuntimeOptions{})
	var refusal *tea.SDKError
	if errors.As(err, &refusal) {
		return map[string]any{"status": refusal.StatusCode, "code": refusal.Code, "message": refusal.Message}
	}
	if err != nil {
		return bug(err)
	}
	return map[string]any{"answer": answer["body"]}
}

func main() {
	config := &utils.Config{
		Endpoint:        dara.String(os.Args[1]),
		RegionId:        dara.String(os.Args[2]),
		AccessKeyId:     dara.String(os.Args[3]),
		AccessKeySecret: dara.String(os.Args[4]),
		Protocol:        dara.String("HTTP"),
	}
	if len(os.Args) > 5 {
		config.SignatureAlgorithm = dara.String(os.Args[5])
	}
	client, err := openapi.NewClient(config)
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(perform(client, lines.Bytes())); err != nil {
			panic(err)
		}
	}
}
