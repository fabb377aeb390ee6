package change

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxCells bounds the table in which lists are aligned, all lists of an outcome together; the product of what two lists do not have in
// common at their ends has to fit. Beyond it elements are compared by their place.
const maxCells = 1 << 20

// gap is a part of a list before and of the list after, between elements that are equal.
type gap struct{ before, beforeEnd, after, afterEnd int }

// numbered gives equal elements of two lists the same number.
func numbered(field protoreflect.FieldDescriptor, before, after protoreflect.List) (olds, news []int) {
	numbers := make(map[any]int)
	number := func(list protoreflect.List) []int {
		result := make([]int, list.Len())
		for i := range result {
			key := identity(field, list.Get(i))
			n, known := numbers[key]
			if !known {
				n = len(numbers)
				numbers[key] = n
			}
			result[i] = n
		}
		return result
	}
	return number(before), number(after)
}

// identity returns what is the same for equal elements, and for no others.
func identity(field protoreflect.FieldDescriptor, element protoreflect.Value) any {
	switch {
	case field.Message() != nil:
		encoded, _ := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(element.Message().Interface())
		return string(encoded)
	case field.Kind() == protoreflect.BytesKind:
		return string(element.Bytes())
	default:
		return element.Interface()
	}
}

// align returns the gaps between a longest common subsequence.
func (c *comparison) align(before, after []int) []gap {
	start := 0
	for start < min(len(before), len(after)) && before[start] == after[start] {
		start++
	}
	end, afterEnd := len(before), len(after)
	for end > start && afterEnd > start && before[end-1] == after[afterEnd-1] {
		end, afterEnd = end-1, afterEnd-1
	}
	rows, columns := end-start, afterEnd-start
	if rows == 0 || columns == 0 || rows > c.cells/columns {
		return []gap{{start, end, start, afterEnd}}
	}
	c.cells -= rows * columns

	// common[i*width+j] is the length of the longest common subsequence of before[start+i:end] and after[start+j:afterEnd].
	width := columns + 1
	common := make([]int32, (rows+1)*width)
	for i := rows - 1; i >= 0; i-- {
		for j := columns - 1; j >= 0; j-- {
			if before[start+i] == after[start+j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	var gaps []gap
	open := gap{before: start, after: start}
	i, j := 0, 0
	for i < rows && j < columns {
		switch {
		case before[start+i] == after[start+j]:
			open.beforeEnd, open.afterEnd = start+i, start+j
			gaps = append(gaps, open)
			i, j = i+1, j+1
			open = gap{before: start + i, after: start + j}
		case common[(i+1)*width+j] >= common[i*width+j+1]:
			i++
		default:
			j++
		}
	}
	open.beforeEnd, open.afterEnd = end, afterEnd
	return append(gaps, open)
}
