module github.com/musterhq/muster/benchmarks/peers/bigslice

go 1.26.0

require (
	github.com/grailbio/base v0.0.11
	github.com/grailbio/bigslice v0.0.0-20230519005545-30c4c12152ad
)

require (
	github.com/DataDog/zstd v1.4.1 // indirect
	github.com/Nvveen/Gotty v0.0.0-20120604004816-cd527374f1e5 // indirect
	github.com/StackExchange/wmi v0.0.0-20190523213315-cbe66965904d // indirect
	github.com/aws/aws-sdk-go v1.34.31 // indirect
	github.com/cespare/xxhash v1.1.0 // indirect
	github.com/go-ole/go-ole v1.2.4 // indirect
	github.com/google/pprof v0.0.0-20190930153522-6ce02741cba3 // indirect
	github.com/grailbio/bigmachine v0.5.8 // indirect
	github.com/jmespath/go-jmespath v0.4.0 // indirect
	github.com/klauspost/compress v1.8.6 // indirect
	github.com/shirou/gopsutil v2.19.9+incompatible // indirect
	github.com/spaolacci/murmur3 v1.1.0 // indirect
	golang.org/x/net v0.0.0-20201110031124-69a78807bb2b // indirect
	golang.org/x/sync v0.0.0-20201020160332-67f06af15bc9 // indirect
	golang.org/x/sys v0.0.0-20200930185726-fdedc70b468f // indirect
	golang.org/x/text v0.3.3 // indirect
	golang.org/x/time v0.0.0-20190921001708-c4c64cad1fd0 // indirect
	v.io v0.1.15 // indirect
	v.io/x/lib v0.1.7 // indirect
)
